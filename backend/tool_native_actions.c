/* Which native actions there are, and what they take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_native_impl.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"

#define NATIVE_ACTIONS 2

/* clang-format off */
#define NATIVE_STRINGS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define NATIVE_PARAMS \
	"\"script\":{\"type\":\"object\",\"required\":[\"content\"]," \
	"\"additionalProperties\":false,\"properties\":{" \
	"\"name\":{\"type\":\"string\"}," \
	"\"content\":{\"type\":\"string\",\"minLength\":1}}}," \
	"\"input\":true," \
	"\"runtime\":{\"type\":\"string\"}," \
	"\"args\":" NATIVE_STRINGS "," \
	"\"vars_read\":" NATIVE_STRINGS "," \
	"\"vars_write\":" NATIVE_STRINGS "," \
	"\"tools\":" NATIVE_STRINGS "," \
	"\"timeout_ms\":{\"type\":\"integer\",\"minimum\":0}," \
	"\"wait\":{\"type\":\"boolean\",\"default\":false}," \
	"\"labels\":{\"type\":\"object\"," \
	"\"additionalProperties\":{\"type\":\"string\"}}"
#define NATIVE_SCHEMA(required, more) \
	"{\"type\":\"object\",\"additionalProperties\":false," \
	"\"required\":[\"script\"" required "]," \
	"\"properties\":{" NATIVE_PARAMS more "}}"
/* clang-format on */

static const struct {
	const char *name, *summary, *permission, *schema;
} native_actions[NATIVE_ACTIONS] = {
	{ "call-workflow", "Runs a script as a job of its own",
	  "call_workflows", NATIVE_SCHEMA("", "") },
	{ "call-agent", "Runs a script as a job of one orchestrator",
	  "call_agents",
	  NATIVE_SCHEMA(",\"agent\"", ",\"agent\":{\"type\":\"string\"}") },
};

struct tool_native {
	struct tool_native_action actions[NATIVE_ACTIONS];
};

static int native_compile(struct tool_native_action *a, size_t i)
{
	struct tool_violations v = { 0 };
	struct tool_path path;
	int r;

	a->name = native_actions[i].name;
	a->summary = native_actions[i].summary;
	a->permission = native_actions[i].permission;
	a->source = json_loads(native_actions[i].schema, 0, NULL);
	if (!a->source)
		return -ENOMEM;
	tool_path_init(&path, "");
	r = tool_schema_compile(a->source, &path, &v, &a->params);
	tool_violations_deinit(&v);
	return r > 0 ? -EINVAL : r;
}

int tool_native_new(struct tool_native **out)
{
	struct tool_native *n = calloc(1, sizeof(*n));
	int r = n ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < NATIVE_ACTIONS; i++)
		r = native_compile(&n->actions[i], i);
	if (r)
		tool_native_free(n);
	else
		*out = n;
	return r;
}

void tool_native_free(struct tool_native *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < NATIVE_ACTIONS; i++) {
		tool_schema_free(n->actions[i].params);
		json_decref(n->actions[i].source);
	}
	free(n);
}

const struct tool_native_action *tool_native_find(const struct tool_native *n,
						  const char *name)
{
	for (size_t i = 0; i < NATIVE_ACTIONS; i++)
		if (!strcmp(n->actions[i].name, name))
			return &n->actions[i];
	return NULL;
}

static json_t *native_describe_action(const struct tool_native_action *a,
				      bool full)
{
	if (!full)
		return json_string(a->name);
	return json_pack("{s:s,s:s,s:O,s:s}", "name", a->name, "summary",
			 a->summary, "params", a->source, "idempotent", "yes");
}

json_t *tool_native_describe(const struct tool_native *n, bool full)
{
	json_t *actions = json_array();

	for (size_t i = 0; i < NATIVE_ACTIONS; i++)
		if (json_array_append_new(actions,
					  native_describe_action(&n->actions[i],
								 full))) {
			json_decref(actions);
			return NULL;
		}
	return json_pack("{s:s,s:s,s:s,s:n,s:o}", "name", TOOL_NATIVE_NAME,
			 "summary", "Jobs that a job starts", "source",
			 "built in", "problem", "actions", actions);
}
