#include "backend/capability.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_schema.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "common/path.h"

void capability_free(struct capability *c)
{
	if (!c)
		return;
	free(c->name);
	free(c->summary);
	free(c->shares);
	json_decref(c->params_source);
	json_decref(c->paths);
	tool_schema_free(c->params);
	tool_template_free(c->permissions);
	buf_deinit(&c->script);
	free(c);
}

json_t *capability_describe(const struct capability *c, bool full)
{
	json_t *o = json_pack("{s:s,s:s,s:b,s:s,s:b,s:I,s:I}", "name", c->name,
			      "summary", c->summary, "undoable", c->undoable,
			      "shares", c->shares, "processes", c->processes,
			      "timeout_ms", (json_int_t)c->timeout_ms,
			      "timeout_max_ms", (json_int_t)c->timeout_max_ms);

	if (o && full && json_object_set(o, "params", c->params_source)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* A copy of the string in its normal form; NULL where it is no absolute path,
 * or when memory ran out. */
static json_t *capability_path_json(const json_t *v)
{
	char normal[CAPABILITY_PATH_MAX_BYTES + 2];
	const char *path = json_string_value(v);

	if (!path || strlen(path) > CAPABILITY_PATH_MAX_BYTES ||
	    strlen(path) != json_string_length(v) || !path_normal(path, normal))
		return NULL;
	return json_string(normal);
}

static int capability_check_paths(const struct capability *c, json_t *args,
				  struct tool_violations *v)
{
	const json_t *name;
	size_t i;

	json_array_foreach(c->paths, i, name) {
		const char *key = json_string_value(name);
		json_t *given = json_object_get(args, key), *normal;
		struct tool_path path;

		if (!given)
			continue;
		normal = capability_path_json(given);
		tool_path_init(&path, "");
		tool_path_push(&path, key);
		if (!normal)
			tool_violations_add(v, path.text,
					    "must be an absolute path of at "
					    "most %d bytes",
					    CAPABILITY_PATH_MAX_BYTES);
		else if (json_object_set_new(args, key, normal))
			return -ENOMEM;
	}
	return v->error ? v->error : v->found ? TOOL_E_INVALID : 0;
}

/* A list of paths, each in its normal form. */
static int capability_normal_list(json_t *permissions, const char *name)
{
	const json_t *list = json_object_get(permissions, name), *item;
	_cleanup_json_ json_t *normal = json_array();
	size_t i;

	if (!json_is_array(list))
		return 0;
	json_array_foreach(list, i, item)
		if (json_array_append_new(normal, capability_path_json(item)))
			return -ENOMEM;
	return json_object_set(permissions, name, normal) ? -ENOMEM : 0;
}

static int capability_permit(const struct capability *c, const json_t *args,
			     struct tool_violations *v, json_t **out)
{
	const struct tool_template_values values = { .params = args };
	_cleanup_json_ json_t *shared = NULL, *own = NULL;
	int r = tool_template_render(c->permissions, &values, v, &shared);

	if (r)
		return r;
	own = shared ? json_deep_copy(shared) : json_object();
	if (!own)
		return -ENOMEM;
	r = capability_normal_list(own, "read");
	if (!r)
		r = capability_normal_list(own, "write");
	if (!r)
		*out = json_incref(own);
	return r;
}

int capability_check(const struct capability *c, const json_t *given,
		     struct tool_violations *v, json_t **args,
		     json_t **permissions)
{
	_cleanup_json_ json_t *filled = NULL, *own = NULL;
	int r = tool_schema_check(c->params, given, v, &filled);

	if (r)
		return r;
	own = json_copy(filled);
	if (!own)
		return -ENOMEM;
	r = capability_check_paths(c, own, v);
	if (!r)
		r = capability_permit(c, own, v, permissions);
	if (!r)
		*args = json_incref(own);
	return r;
}
