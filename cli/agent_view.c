#include "cli/agent_view.h"

#include <errno.h>
#include <stdio.h>

#include "cli/output.h"
#include "common/json.h"
#include "common/percent.h"

static const char *agent_view_state(const json_t *agent)
{
	if (!json_get_bool(agent, "connected", false))
		return "away";
	if (json_get_bool(agent, "drained", false))
		return "drained";
	return json_get_bool(agent, "accepting", true) ? "connected"
						       : "refuses";
}

static const char *agent_view_colour(const json_t *agent)
{
	if (!json_get_bool(agent, "connected", false))
		return OUTPUT_DIM;
	if (json_get_bool(agent, "drained", false) ||
	    !json_get_bool(agent, "accepting", true))
		return OUTPUT_YELLOW;
	return OUTPUT_GREEN;
}

void agent_view_cells(const json_t *agent, struct output_cell *cells)
{
	size_t size = sizeof(cells->text);

	snprintf(cells[0].text, size, "%s", json_get_str(agent, "name", "?"));
	snprintf(cells[1].text, size, "%s", agent_view_state(agent));
	cells[1].colour = agent_view_colour(agent);
	snprintf(cells[2].text, size, "%lld/%lld",
		 (long long)json_get_int(agent, "running", 0),
		 (long long)json_get_int(agent, "slots", 0));
}

const char *agent_view_labels(const json_t *agent, char *out, size_t size)
{
	json_t *labels = json_object_get(agent, "labels"), *v;
	const char *key;
	size_t at = 0;

	snprintf(out, size, "-");
	json_object_foreach(labels, key, v) {
		if (at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s=%s",
					       at ? "," : "", key,
					       json_string_value(v));
	}
	return out;
}

int agent_view_path(const char *name, const char *rest, struct buf *path)
{
	return buf_append_str(path, "/v1/agents/") ||
			       percent_append(path, name) ||
			       buf_append_str(path, rest) || !buf_cstr(path)
		       ? -ENOMEM
		       : 0;
}
