#include "backend/capability_undo.h"

#include <errno.h>
#include <stdio.h>

#include "backend/capability.h"
#include "backend/job_spec.h"
#include "backend/store.h"
#include "common/json.h"

const char *capability_undo_name(const struct store_job *job, json_t **spec)
{
	*spec = job->spec.data
			? json_loadb(job->spec.data, job->spec.len, 0, NULL)
			: NULL;
	return json_get_str(*spec, JOB_SPEC_CAPABILITY, NULL);
}

/* What the job has written must still be there, unless that is no matter. */
static json_t *undo_args(const json_t *output, const json_t *undo, bool force)
{
	json_t *sha256 = json_object_get(output, "sha256");
	json_t *path = json_object_get(output, "path");
	bool expect = !force && json_is_string(sha256);
	json_t *args;

	if (json_get_bool(undo, "existed", false))
		args = json_pack("{s:O,s:O,s:O,s:O,s:b}", "path", path,
				 "content", json_object_get(undo, "content"),
				 "encoding", json_object_get(undo, "encoding"),
				 "mode", json_object_get(undo, "mode"),
				 "overwrite", force || expect);
	else
		args = json_pack("{s:O,s:b}", "path", path, "remove", 1);
	if (args && expect &&
	    json_object_set(args, "expected_sha256", sha256)) {
		json_decref(args);
		return NULL;
	}
	return args;
}

static json_t *undo_ask(const struct store_job *job, const json_t *spec,
			json_t *args)
{
	json_t *ask = json_pack("{s:o,s:s?,s:s,s:O*}", "args", args, "host",
				json_get_str(spec, "host", NULL), "executor",
				json_get_str(spec, "executor", "auto"), "env",
				json_object_get(spec, "env"));

	/* The same machine. */
	if (ask && job->agent &&
	    json_object_set_new(ask, "agent", json_string(job->agent))) {
		json_decref(ask);
		return NULL;
	}
	return ask;
}

/* NULL: it can be undone. */
static const char *undo_hindrance(const struct capability *c,
				  const struct store_job *job,
				  const json_t *output)
{
	if (!c || !c->undoable)
		return "it is not the job of a capability that can be undone";
	if (!job_state_ended(job->state))
		return "it has not ended";
	if (json_get_bool(output, "dry_run", false))
		return "it was a dry run, and has changed nothing";
	if (!output)
		return "it has no output, and so has changed nothing";
	if (!json_is_object(json_object_get(output, "undo")))
		return "it has changed nothing, or its arguments said "
		       "\"undo\":false";
	return NULL;
}

int capability_undo_ask(const struct capability *c, const struct store_job *job,
			const json_t *spec, const json_t *output, bool force,
			json_t **ask, char *err, size_t err_size)
{
	const char *hindrance = undo_hindrance(c, job, output);
	json_t *args;

	if (hindrance) {
		snprintf(err, err_size, "%s cannot be undone: %s", job->id,
			 hindrance);
		return CAPABILITY_UNDO_E_CANNOT;
	}
	args = undo_args(output, json_object_get(output, "undo"), force);
	*ask = args ? undo_ask(job, spec, args) : NULL;
	return *ask ? 0 : -ENOMEM;
}
