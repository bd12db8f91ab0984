/* GET and POST /condition: one JSON boolean. */
#include <string.h>

#include "common/json.h"
#include "sidecar/handlers.h"
#include "sidecar/limits.h"
#include "sidecar/relay.h"

static void on_get(struct relay *r, const uint8_t *body, size_t len)
{
	relay_send(r, "/condition", NULL, 0);
}

void handle_condition_get(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "GET",
		.on_body = on_get,
	};

	relay_begin(req, &spec, NULL, 0);
}

/* true, false or {"condition": true}; NULL for anything else. */
static const char *parse_condition(const uint8_t *body, size_t len)
{
	_cleanup_json_ json_t *v =
		json_loadb((const char *)body, len,
			   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	const json_t *condition = v;

	if (json_is_object(v) && json_object_size(v) == 1)
		condition = json_object_get(v, "condition");
	if (!json_is_boolean(condition))
		return NULL;
	return json_is_true(condition) ? "true" : "false";
}

static void on_set(struct relay *r, const uint8_t *body, size_t len)
{
	const char *condition = parse_condition(body, len);

	if (condition)
		relay_send(r, "/condition", condition, strlen(condition));
	else
		relay_refuse(r, 400, "invalid_condition",
			     "the condition has to be true, false or "
			     "{\"condition\": true}");
}

void handle_condition_set(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "POST",
		.write = true,
		.on_body = on_set,
	};

	relay_begin(req, &spec, NULL, LIMITS_CONDITION_BYTES);
}
