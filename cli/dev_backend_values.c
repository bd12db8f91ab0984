/* The fake backend: input, output, condition, context, refusals. */
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "cli/dev_fixtures.h"
#include "common/json.h"

void dev_get_input(struct dev_call *call, const uint8_t *body, size_t len)
{
	const json_t *input = call->b->state->fixtures->input;

	dev_answer_json(call, 200, input ? json_deep_copy(input) : json_null());
}

void dev_get_context(struct dev_call *call, const uint8_t *body, size_t len)
{
	dev_answer_json(call, 200, json_incref(call->b->state->context));
}

void dev_post_output(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	struct buf value = { 0 };
	size_t at = 0;

	if (dev_repeated(call, DEV_KEYS_WRITES, "output", body, len))
		return;
	if (json_check(body, len, &at)) {
		dev_problem_with(call, 400, "invalid_json", "offset",
				 (int64_t)at,
				 "the output is not one JSON value: byte %zu",
				 at);
		return;
	}
	if (buf_append(&value, body, len) < 0) {
		dev_no_memory(call);
		return;
	}
	buf_deinit(&s->value);
	s->value = value;
	s->has_output = true;
	dev_log_say(s->log, "output %.*s", (int)MIN(len, 4096),
		    (const char *)body);
	dev_answer(call, 204, NULL, NULL, 0);
}

/* --- condition ------------------------------------------------------------ */

void dev_get_condition(struct dev_call *call, const uint8_t *body, size_t len)
{
	const struct dev_state *s = call->b->state;

	dev_log_say(s->log, "get_condition -> %s",
		    s->condition < 0 ? "none"
		    : s->condition   ? "true"
				     : "false");
	if (s->condition < 0)
		dev_problem(call, 404, "no_condition",
			    "no condition has been set");
	else
		dev_answer_json(call, 200, json_boolean(s->condition));
}

/* true, false, or {"condition": true}; -1 for anything else. */
static int condition_parse(const uint8_t *body, size_t len)
{
	_cleanup_json_ json_t *v = json_loadb((const char *)body, len,
					      JSON_DECODE_ANY, NULL);
	const json_t *flag = json_is_object(v) ? json_object_get(v, "condition")
					       : v;

	return json_is_boolean(flag) ? json_is_true(flag) : -1;
}

void dev_post_condition(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_state *s = call->b->state;
	int value = condition_parse(body, len);

	if (s->claims.read_only) {
		dev_problem(call, 403, "forbidden", "the token is read-only");
		return;
	}
	if (dev_repeated(call, DEV_KEYS_WRITES, "condition", body, len))
		return;
	if (value < 0) {
		dev_problem(call, 400, "invalid_condition",
			    "the body must be true, false or "
			    "{\"condition\":true}");
		return;
	}
	s->condition = value;
	s->condition_set = true;
	dev_log_say(s->log, "set_condition %s", value ? "true" : "false");
	dev_answer(call, 204, NULL, NULL, 0);
}

/* --- refusals ------------------------------------------------------------- */

void dev_post_audit(struct dev_call *call, const uint8_t *body, size_t len)
{
	char err[128];
	_cleanup_json_ json_t *o = json_parse_object(body, len, err,
						     sizeof(err));

	dev_log_say(call->b->state->log, "refused: %s %s",
		    json_get_str(o, "code", "?"),
		    json_get_str(o, "target", ""));
	dev_answer(call, 204, NULL, NULL, 0);
}
