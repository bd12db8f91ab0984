#include "runner/permit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "runner/gate.h"
#include "runner/permit_calls.h"
#include "runner/permit_paths.h"

static int permit_check(const json_t *v)
{
	const json_t *item;
	size_t i;

	if (!v || json_is_boolean(v))
		return 0;
	if (!json_is_array(v) || json_array_size(v) > PERMIT_LIST_MAX)
		return -EINVAL;
	json_array_foreach(v, i, item) {
		if (!json_string_length(item))
			return -EINVAL;
	}
	return 0;
}

static int permit_check_shares(const json_t *shares)
{
	const json_t *item;
	size_t i;

	if (!shares)
		return 0;
	if (!json_is_array(shares) || json_array_size(shares) > PERMIT_LIST_MAX)
		return -EINVAL;
	json_array_foreach(shares, i, item)
		if (json_get_str(item, "path", "")[0] != '/')
			return -EINVAL;
	return 0;
}

int permit_parse(struct permit *p, const json_t *assign)
{
	const json_t *o = json_object_get(assign, "permissions");
	const json_t *run = json_object_get(o, "run");

	*p = (struct permit){
		.net = json_object_get(o, "net"),
		.read = json_object_get(o, "read"),
		.write = json_object_get(o, "write"),
		.env = json_object_get(o, "env"),
		.run = json_is_true(run),
		.bash = !strcmp(json_get_str(assign, "runtime", ""), "bash"),
		.shares = json_object_get(assign, "shares"),
		.signals = json_get_bool(assign, "signals", false),
	};
	if ((o && !json_is_object(o)) || (run && !json_is_boolean(run)) ||
	    permit_check(p->net) || permit_check(p->read) ||
	    permit_check(p->write) || permit_check(p->env) ||
	    permit_check_shares(p->shares))
		return -EINVAL;
	return 0;
}

bool permit_is_all(const json_t *v)
{
	return json_is_true(v);
}

bool permit_has(const json_t *v, const char *item)
{
	const json_t *listed;
	size_t i;

	json_array_foreach(v, i, listed) {
		if (!strcmp(json_string_value(listed), item))
			return true;
	}
	return false;
}

bool permit_is_open(const struct permit *p)
{
	return permit_is_all(p->net) && permit_is_all(p->read) &&
	       permit_is_all(p->write) && permit_is_all(p->env) && p->run;
}

int permit_apply(const struct permit *p, const struct permit_place *place,
		 int *error)
{
	struct gate_programs programs = { .n = 0 };
	int r = permit_paths_apply(p, place, &programs);

	if (r < 0) {
		*error = -r;
		return PERMIT_E_PATHS;
	}
	/* Last: from here on the runner answers for every exec. */
	r = permit_calls_apply(p, place, &programs);
	*error = -r;
	return r < 0 ? PERMIT_E_CALLS : 0;
}

/* The permissions that the script would need instead. */
static const char *permit_missing(const struct permit *p, int what)
{
	bool run = p->bash && !p->run;

	if (what == PERMIT_E_CALLS)
		return permit_is_all(p->write) ? "--allow-run"
					       : "--allow-run --allow-write";
	if (!permit_is_all(p->read) && !permit_is_all(p->write))
		return run ? "--allow-read --allow-write --allow-run"
			   : "--allow-read --allow-write";
	if (!permit_is_all(p->read))
		return run ? "--allow-read --allow-run" : "--allow-read";
	if (!permit_is_all(p->write))
		return run ? "--allow-write --allow-run" : "--allow-write";
	return "--allow-run";
}

void permit_explain(const struct permit *p, int what, int error, char *err,
		    size_t err_size)
{
	const char *flags = permit_missing(p, what);

	if (what == PERMIT_E_PATHS)
		snprintf(err, err_size,
			 "cannot hold the script to its permissions: the "
			 "kernel here has no Landlock (%s). Run it where Linux "
			 "is 5.13 or later and has it switched on, or grant %s",
			 strerror(error), flags);
	else
		snprintf(err, err_size,
			 "cannot hold the script to its permissions: the "
			 "kernel here has no seccomp notification (%s). Run it "
			 "elsewhere, or grant %s",
			 strerror(error), flags);
}
