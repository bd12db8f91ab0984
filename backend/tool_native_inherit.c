/* What a child has of its parent: at most what that has itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/pattern_subset.h"
#include "backend/tool_native_impl.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "common/runtime_config.h"
#include "common/token.h"

/* --- patterns ------------------------------------------------------------ */

/* What the parent may do, where nothing less is asked for. */
static int inherit_patterns(json_t *members, const char *name,
			    const struct token_patterns *own)
{
	json_t *list;

	if (json_object_get(members, name))
		return 0;
	list = json_array();
	for (size_t i = 0; i < own->n; i++)
		if (json_array_append_new(list, json_string(own->items[i]))) {
			json_decref(list);
			return -ENOMEM;
		}
	return json_object_set_new(members, name, list) ? -ENOMEM : 0;
}

static void check_patterns(const json_t *members, const char *name,
			   const struct token_patterns *own,
			   struct tool_violations *v)
{
	const json_t *list = json_object_get(members, name);
	char path[64];
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item) {
		if (pattern_within_any(json_string_value(item), own))
			continue;
		snprintf(path, sizeof(path), "/%s/%zu", name, i);
		tool_violations_add(v, path,
				    "\"%s\" is more than this job itself may "
				    "do",
				    json_string_value(item));
	}
}

/* --- limits -------------------------------------------------------------- */

/* A child is kept in as its parent is. */
static int inherit_limits(json_t *members, const json_t *parent)
{
	static const char *const names[] = { "executor", "host", "memory_mb",
					     "cpus", "pids" };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(names); i++) {
		json_t *v = json_object_get(parent, names[i]);

		if (v && json_object_set(members, names[i], v))
			r = -ENOMEM;
	}
	return r;
}

/* The parent's block, permissions and all; what it runs is its own. A parent
 * from before there were blocks has none. */
static int inherit_runtime(json_t *members, const json_t *parent)
{
	static const char *const own[] = { "type", "entrypoint",
					   "node_options" };
	const json_t *theirs = json_object_get(parent, "runtime");
	json_t *type = json_object_get(members, "runtime");
	_cleanup_json_ json_t *block = NULL;

	if (!json_is_object(theirs))
		return 0;
	block = json_copy((json_t *)(uintptr_t)theirs);
	if (!block)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		json_object_del(block, own[i]);
	if ((type && json_object_set(block, "type", type)) ||
	    json_object_set(members, "runtime", block))
		return -ENOMEM;
	return 0;
}

/* Nobody waits for ever, unless that is said. */
static int limit_wait(json_t *members, bool wait)
{
	if (!wait || json_object_get(members, "timeout_ms"))
		return 0;
	return json_object_set_new(members, "timeout_ms",
				   json_integer(RUNTIME_TOOL_TIMEOUT_MS))
		       ? -ENOMEM
		       : 0;
}

int tool_native_inherit(json_t *members, const json_t *parent,
			const struct token_claims *claims, bool wait,
			struct tool_violations *violations)
{
	const struct {
		const char *name;
		const struct token_patterns *own;
	} lists[] = {
		{ "vars_read", &claims->vars_read },
		{ "vars_write", &claims->vars_write },
		{ "tools", &claims->tools },
	};
	int r = inherit_limits(members, parent);

	if (!r)
		r = inherit_runtime(members, parent);
	if (!r)
		r = limit_wait(members, wait);
	for (size_t i = 0; !r && i < ARRAY_SIZE(lists); i++) {
		check_patterns(members, lists[i].name, lists[i].own,
			       violations);
		r = inherit_patterns(members, lists[i].name, lists[i].own);
	}
	if (!r && claims->read_only)
		r = json_object_set_new(members, "read_only", json_true());
	return r;
}
