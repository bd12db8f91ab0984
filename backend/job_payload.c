#include "backend/job_payload.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "payload/inspect.h"
#include "payload/read.h"

#define QUOTED_BYTES 80 /* of a name in a sentence */

/* --- the runtime --------------------------------------------------------- */

/* A limit that the job itself says is not the manifest's any more. */
static int payload_yield(json_t *block, const json_t *members,
			 const char *block_name, const char *name)
{
	if (!json_object_get(block, block_name) ||
	    !json_object_get(members, name))
		return 0;
	return json_object_del(block, block_name) ? -ENOMEM : 0;
}

/* The block that the manifest asks for. */
static json_t *payload_block(const json_t *manifest, const json_t *members)
{
	json_t *block = json_copy(json_object_get(manifest, "runtime"));

	if (!block)
		block = json_object();
	if (json_object_set(block, "type",
			    json_object_get(manifest, "interpreter")) ||
	    payload_yield(block, members, "max_memory_mb", "memory_mb") ||
	    payload_yield(block, members, "timeout", "timeout_ms")) {
		json_decref(block);
		return NULL;
	}
	return block;
}

/* What is no runtime at all is for job_spec_parse() to refuse. */
static int payload_merge_runtime(json_t *members, const json_t *manifest)
{
	json_t *given = json_object_get(members, "runtime");
	_cleanup_json_ json_t *block = payload_block(manifest, members);
	int r = block ? 0 : -1;

	if (given && !json_is_object(given) && !json_is_string(given))
		return 0;
	if (!r && json_is_string(given))
		r = json_object_set(block, "type", given);
	if (!r && json_is_object(given))
		r = json_object_update(block, given);
	if (!r)
		r = json_object_set(members, "runtime", block);
	return r ? -ENOMEM : 0;
}

/* --- the rest ------------------------------------------------------------ */

static int payload_merge_env(json_t *members, const json_t *manifest)
{
	json_t *given = json_object_get(members, "env");
	_cleanup_json_ json_t *env = json_copy(
		json_object_get(manifest, "env"));

	if (!env)
		return json_object_get(manifest, "env") ? -ENOMEM : 0;
	if (given && !json_is_object(given))
		return 0;
	if ((given && json_object_update(env, given)) ||
	    json_object_set(members, "env", env))
		return -ENOMEM;
	return 0;
}

static bool payload_has_file(const json_t *files, const char *path)
{
	json_t *file;
	size_t i;

	json_array_foreach((json_t *)files, i, file)
		if (!strcmp(json_get_str(file, "path", ""), path))
			return true;
	return false;
}

/* The file to run: another one of the archive where the job says so. */
static int payload_merge_entrypoint(json_t *members,
				    const struct payload_info *info,
				    struct buf *why)
{
	const json_t *block = json_object_get(members, "runtime");
	const char *entrypoint = json_get_str(info->manifest, "entrypoint", "");
	const char *script = json_get_str(members, "script_name",
					  json_get_str(block, "entrypoint",
						       entrypoint));

	if (!payload_has_file(info->files, script))
		return buf_printf(why,
				  "script_name: \"%.*s\" is not a file of the "
				  "payload",
				  QUOTED_BYTES, script)
			       ? -ENOMEM
			       : JOB_PAYLOAD_E_INVALID;
	if (json_object_get(members, "script_name"))
		return 0;
	return json_object_set_new(members, "script_name", json_string(script))
		       ? -ENOMEM
		       : 0;
}

int job_payload_apply(json_t *members, const void *data, size_t len,
		      struct buf *why)
{
	struct payload_info info;
	int r = payload_inspect(data, len, &info, why);

	if (r)
		return r == PAYLOAD_E_REFUSED ? JOB_PAYLOAD_E_INVALID : r;
	r = payload_merge_entrypoint(members, &info, why);
	if (!r)
		r = payload_merge_runtime(members, info.manifest);
	if (!r)
		r = payload_merge_env(members, info.manifest);
	payload_info_deinit(&info);
	return r;
}
