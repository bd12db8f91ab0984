#include "runner/assignment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define ASSIGNMENT_GRACE_MS 5000

void assignment_deinit(struct assignment *a)
{
	free(a->argv);
	json_decref(a->root);
	*a = (struct assignment){ 0 };
}

static int assignment_parse_argv(struct assignment *a)
{
	const json_t *argv = json_object_get(a->root, "argv");
	size_t n = json_array_size(argv);

	if (!n || n > ASSIGNMENT_ARGS_MAX)
		return -EINVAL;
	a->argv = calloc(n + 1, sizeof(*a->argv));
	if (!a->argv)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		a->argv[i] = json_string_value(json_array_get(argv, i));
		if (!a->argv[i])
			return -EINVAL;
	}
	return a->argv[0][0] ? 0 : -EINVAL;
}

static int assignment_check_env(const struct assignment *a)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)a->env, key, value) {
		if (!*key || strchr(key, '=') || !json_is_string(value))
			return -EINVAL;
	}
	return 0;
}

/* One component, so that nothing is written outside the work directory. */
static int assignment_check_name(const char *name)
{
	if (!*name || strlen(name) > NAME_MAX || strchr(name, '/'))
		return -EINVAL;
	return strcmp(name, ".") && strcmp(name, "..") ? 0 : -EINVAL;
}

static int assignment_check_ids(const struct assignment *a)
{
	if (a->uid < -1 || a->gid < -1 || a->uid >= UINT32_MAX ||
	    a->gid >= UINT32_MAX || (a->uid < 0) != (a->gid < 0))
		return -EINVAL;
	return 0;
}

static int assignment_fail(int r, const char *member, char *err,
			   size_t err_size)
{
	if (r < 0)
		snprintf(err, err_size, "ASSIGN has no valid %s", member);
	return r;
}

int assignment_parse(struct assignment *a, const void *data, size_t len,
		     char *err, size_t err_size)
{
	int64_t script_bytes, grace_ms;
	int r;

	a->root = json_parse_object(data, len, err, err_size);
	if (!a->root)
		return -EINVAL;
	a->script_name = json_get_str(a->root, "script_name", "");
	a->work_dir = json_get_str(a->root, "work_dir", "");
	a->uid = json_get_int(a->root, "uid", -1);
	a->gid = json_get_int(a->root, "gid", -1);
	a->env = json_object_get(a->root, "env");
	a->mode = json_get_str(a->env, "CRONIUM_EXECUTION_MODE", "");
	script_bytes = json_get_int(a->root, "script_bytes", -1);
	grace_ms = json_get_int(a->root, "grace_ms", ASSIGNMENT_GRACE_MS);
	a->script_bytes = (size_t)script_bytes;
	a->grace_ms = (uint64_t)MAX(grace_ms, 0);
	a->max_stderr_bytes =
		(uint64_t)MAX(json_get_int(a->root, "max_stderr_bytes", 0), 0);

	r = assignment_parse_argv(a);
	if (r < 0)
		return assignment_fail(r, "argv", err, err_size);
	if (assignment_check_env(a) < 0)
		return assignment_fail(-EINVAL, "env", err, err_size);
	if (permit_parse(&a->permit, a->root) < 0)
		return assignment_fail(-EINVAL, "permissions", err, err_size);
	if (assignment_check_name(a->script_name) < 0)
		return assignment_fail(-EINVAL, "script_name", err, err_size);
	if (a->work_dir[0] != '/')
		return assignment_fail(-EINVAL, "work_dir", err, err_size);
	if (script_bytes < 0)
		return assignment_fail(-EINVAL, "script_bytes", err, err_size);
	return assignment_fail(assignment_check_ids(a), "uid and gid", err,
			       err_size);
}
