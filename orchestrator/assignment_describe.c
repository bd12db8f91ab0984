/*
 * What of an assignment is written down for a process that may have to go on
 * with it: no program, no input, no token, no environment and no arguments.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "orchestrator/assignment.h"

static int assignment_copy(json_t *to, const json_t *from,
			   const char *const *keys)
{
	for (size_t i = 0; keys[i]; i++) {
		json_t *v = json_object_get(from, keys[i]);

		if (v && json_object_set(to, keys[i], v))
			return -ENOMEM;
	}
	return 0;
}

static json_t *assignment_describe_spec(const json_t *spec)
{
	static const char *const keys[] = {
		"name",  "script_name", "payload",    "executor",
		"image", "network",     "timeout_ms", "memory_mb",
		"cpus",  "pids",        NULL,
	};
	static const char *const block_keys[] = { "type", "permissions",
						  "retries", NULL };
	const json_t *given = json_object_get(spec, "runtime");
	json_t *o = json_object(), *block = json_object();

	if (json_is_string(given)) {
		json_decref(block);
		block = json_incref((json_t *)(uintptr_t)given);
	}
	if (assignment_copy(o, spec, keys) < 0 ||
	    assignment_copy(block, given, block_keys) < 0 ||
	    json_object_set(o, "runtime", block)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(block);
	return o;
}

json_t *assignment_describe(const struct assignment *a)
{
	const json_t *spec = json_object_get(a->json, "spec");
	json_t *o = json_pack("{s:I,s:I,s:I,s:o}", "epoch",
			      (json_int_t)a->epoch, "attempt",
			      (json_int_t)json_get_int(a->json, "attempt", 1),
			      "lease_ms", (json_int_t)a->lease_ms, "spec",
			      assignment_describe_spec(spec));

	if (!o)
		return NULL;
	if (a->trace)
		json_object_set_new(o, "context",
				    json_pack("{s:s}", "trace_id", a->trace));
	if (a->host.name)
		json_object_set_new(o, "host_name", json_string(a->host.name));
	return o;
}

int assignment_restore(struct assignment **out, const char *execution,
		       const char *job, const json_t *described, char *err,
		       size_t err_size)
{
	_cleanup_json_ json_t *o = json_deep_copy(described);
	_cleanup_free_ char *text = NULL;

	*out = NULL;
	if (!o || json_object_update_new(
			  o, json_pack("{s:s,s:s,s:s,s:s}", "execution",
				       execution, "job", job, "runtime_token",
				       "", "backend_token", "")))
		return -ENOMEM;
	text = json_dumps(o, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	return assignment_new(out, text, strlen(text), err, err_size);
}

int64_t assignment_created_ms(const struct assignment *a)
{
	return json_get_int(a->json, "created_ms", 0);
}
