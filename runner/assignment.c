#include "runner/assignment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

static bool assignment_is_component(const char *name, size_t len)
{
	return len && len <= NAME_MAX && !(len == 1 && name[0] == '.') &&
	       !(len == 2 && !strncmp(name, "..", 2));
}

/* A script is one component, so that nothing is written outside the work
 * directory; a payload's entrypoint may lie deeper, below it all the same. */
static int assignment_check_name(const struct assignment *a)
{
	const char *name = a->script_name;

	for (;;) {
		size_t len = strcspn(name, "/");

		if (!assignment_is_component(name, len))
			return -EINVAL;
		if (!name[len])
			return 0;
		if (!a->payload)
			return -EINVAL;
		name += len + 1;
	}
}

/* Permission bits alone, with which the script can read its own files. */
static int assignment_parse_mode(struct assignment *a)
{
	int64_t mode = json_get_int(a->root, "file_mode", ASSIGNMENT_FILE_MODE);

	if (mode < 0 || mode & ~0777 || !(mode & S_IRUSR))
		return -EINVAL;
	a->file_mode = (mode_t)mode;
	return 0;
}

static int assignment_check_ids(const struct assignment *a)
{
	if (a->uid < -1 || a->gid < -1 || a->uid >= UINT32_MAX ||
	    a->gid >= UINT32_MAX || (a->uid < 0) != (a->gid < 0))
		return -EINVAL;
	return 0;
}

static void assignment_read(struct assignment *a)
{
	const json_t *o = a->root;
	int64_t grace_ms = json_get_int(o, "grace_ms", ASSIGNMENT_GRACE_MS);

	a->execution = json_get_str(o, "execution", "");
	a->payload = json_get_bool(o, "payload", false);
	a->signature = json_get_str(o, "signature", "");
	a->script_name = json_get_str(o, "script_name", "");
	a->work_dir = json_get_str(o, "work_dir", "");
	a->uid = json_get_int(o, "uid", -1);
	a->gid = json_get_int(o, "gid", -1);
	a->env = json_object_get(o, "env");
	a->token = json_get_str(a->env, "CRONIUM_EXECUTION_TOKEN", "");
	a->mode = json_get_str(a->env, "CRONIUM_EXECUTION_MODE", "");
	a->grace_ms = (uint64_t)MAX(grace_ms, 0);
	a->keep_ms = (uint64_t)MAX(json_get_int(o, "keep_ms", 0), 0);
	a->max_stderr_bytes =
		(uint64_t)MAX(json_get_int(o, "max_stderr_bytes", 0), 0);
}

/* The member that is not valid, or NULL. */
static const char *assignment_check(struct assignment *a)
{
	int64_t script_bytes = json_get_int(a->root, "script_bytes", -1);

	a->script_bytes = (size_t)script_bytes;
	if (assignment_check_env(a) < 0)
		return "env";
	if (permit_parse(&a->permit, a->root) < 0)
		return "permissions";
	if (assignment_check_name(a) < 0)
		return "script_name";
	if (assignment_parse_mode(a) < 0)
		return "file_mode";
	if (a->work_dir[0] != '/')
		return "work_dir";
	if (script_bytes < 0)
		return "script_bytes";
	return assignment_check_ids(a) < 0 ? "uid and gid" : NULL;
}

int assignment_parse(struct assignment *a, const void *data, size_t len,
		     char *err, size_t err_size)
{
	const char *bad;
	int r;

	a->root = json_parse_object(data, len, err, err_size);
	if (!a->root)
		return -EINVAL;
	assignment_read(a);
	r = assignment_parse_argv(a);
	bad = r < 0 ? "argv" : assignment_check(a);
	if (!bad)
		return 0;
	snprintf(err, err_size, "ASSIGN has no valid %s", bad);
	return r < 0 ? r : -EINVAL;
}
