#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_file_impl.h"
#include "backend/tool_reference.h"
#include "backend/tool_schema.h"
#include "common/json.h"

void tool_action_deinit(struct tool_action *a)
{
	for (size_t i = 0; i < a->n_requests; i++)
		tool_request_deinit(&a->requests[i]);
	free(a->requests);
	free(a->name);
	free(a->summary);
	json_decref(a->params_source);
	tool_schema_free(a->params);
	tool_schema_free(a->success_body);
	tool_template_free(a->result);
	*a = (struct tool_action){ 0 };
}

/* --- params -------------------------------------------------------------- */

/* The schema as it is enforced: an object, and closed unless the file says
 * otherwise, so that a script's typing error is told. */
static json_t *tool_params_source(struct tool_reader *r, const json_t *v)
{
	json_t *source = v ? json_copy((json_t *)v) : json_object();
	const char *type;

	if (!source) {
		r->error = -ENOMEM;
		return NULL;
	}
	type = json_get_str(source, "type", NULL);
	if (!json_object_get(source, "type")) {
		if (json_object_set_new(source, "type", json_string("object")))
			r->error = -ENOMEM;
	} else if (!type || strcmp(type, "object") != 0) {
		tool_reader_say(r, "must be of type object");
	}
	if (!json_object_get(source, "additionalProperties") &&
	    json_object_set_new(source, "additionalProperties", json_false()))
		r->error = -ENOMEM;
	return source;
}

static struct tool_schema *tool_reader_schema(struct tool_reader *r,
					      const json_t *source)
{
	struct tool_schema *s = NULL;
	int e = tool_schema_compile(source, &r->path, r->violations, &s);

	if (e < 0)
		r->error = e;
	return s;
}

static void tool_action_read_params(struct tool_reader *r, const json_t *source,
				    struct tool_action *a)
{
	const json_t *v = json_object_get(source, "params");
	size_t before = tool_path_push(&r->path, "params");

	if (v && !json_is_object(v))
		tool_reader_say(r, "must be an object, not %s",
				json_type_name(v));
	else
		a->params_source = tool_params_source(r, v);
	if (a->params_source && !r->error)
		a->params = tool_reader_schema(r, a->params_source);
	tool_path_pop(&r->path, before);
}

/* --- the request and what becomes of it ---------------------------------- */

static void tool_action_read_requests(struct tool_reader *r,
				      const json_t *source,
				      struct tool_action *a)
{
	const json_t *v = json_object_get(source, "request"), *item;
	size_t before = tool_path_push(&r->path, "request"), i;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	if (!v || n == 0 || n > TOOL_REQUESTS_MAX) {
		tool_reader_say(r,
				v ? "must have 1 to %d items"
				  : "is required: one request, or a list "
				    "of at most %d",
				TOOL_REQUESTS_MAX);
		tool_path_pop(&r->path, before);
		return;
	}
	a->requests = calloc(n, sizeof(*a->requests));
	if (!a->requests)
		r->error = -ENOMEM;
	else if (!json_is_array(v))
		tool_request_read(r, v, &a->requests[a->n_requests++]);
	else
		json_array_foreach(v, i, item) {
			size_t here = tool_path_push_index(&r->path, i);

			tool_request_read(r, item,
					  &a->requests[a->n_requests++]);
			tool_path_pop(&r->path, here);
		}
	tool_path_pop(&r->path, before);
}

static void tool_action_read_retry(struct tool_reader *r, const json_t *source,
				   struct tool_retry *out)
{
	static const char *const names[] = { "initial_ms", "max_ms",
					     "max_elapsed_ms", "on", NULL };
	size_t before = r->path.len;
	const json_t *v = tool_reader_enter(r, source, "retry", &before);

	if (v)
		tool_reader_object(r, v, names);
	out->initial_ms = tool_reader_int(r, v, "initial_ms", 1,
					  TOOL_RETRY_ELAPSED_MAX_MS,
					  TOOL_RETRY_INITIAL_DEFAULT_MS);
	out->max_ms = tool_reader_int(
		r, v, "max_ms", 1, TOOL_RETRY_ELAPSED_MAX_MS,
		MAX(out->initial_ms, TOOL_RETRY_MAX_DEFAULT_MS));
	out->max_elapsed_ms = tool_reader_int(r, v, "max_elapsed_ms", 0,
					      TOOL_RETRY_ELAPSED_MAX_MS,
					      TOOL_RETRY_ELAPSED_DEFAULT_MS);
	out->on_given = tool_reader_statuses(r, v, "on", &out->on);
	if (out->max_ms < out->initial_ms)
		tool_reader_say(r, "max_ms must be at least initial_ms");
	tool_reader_leave(r, before);
}

static enum tool_idempotent tool_action_read_idempotent(struct tool_reader *r,
							const json_t *source)
{
	const json_t *v = json_object_get(source, "idempotent");
	const char *text = json_string_value(v);
	size_t before;

	if (!v || json_is_boolean(v))
		return json_is_true(v) ? TOOL_IDEMPOTENT_YES
				       : TOOL_IDEMPOTENT_NO;
	if (text && !strcmp(text, "method"))
		return TOOL_IDEMPOTENT_METHOD;
	before = tool_path_push(&r->path, "idempotent");
	tool_reader_say(r, "must be true, false or \"method\"");
	tool_path_pop(&r->path, before);
	return TOOL_IDEMPOTENT_NO;
}

static void tool_action_read_success(struct tool_reader *r,
				     const json_t *source,
				     struct tool_action *a)
{
	size_t before;
	const json_t *v;

	if (!tool_reader_statuses(r, source, "success", &a->success))
		for (unsigned int bit = 100; bit < 200; bit++)
			a->success.bits[bit / 64] |= UINT64_C(1) << bit % 64;
	v = tool_reader_enter(r, source, "success_body", &before);
	if (!v)
		return;
	a->success_body = tool_reader_schema(r, v);
	tool_reader_leave(r, before);
}

/* What HTTP alone has means nothing to a mail server. */
static void tool_action_check_email(struct tool_reader *r, const json_t *source,
				    const struct tool_action *a)
{
	static const char *const names[] = { "success", "success_body",
					     "follow_redirects" };
	bool email = false;
	size_t before;

	for (size_t i = 0; i < a->n_requests; i++)
		email = email || a->requests[i].kind == TOOL_REQUEST_EMAIL;
	for (size_t i = 0; email && i < ARRAY_SIZE(names); i++) {
		if (!tool_reader_enter(r, source, names[i], &before))
			continue;
		tool_reader_say(r, "is not for an email");
		tool_reader_leave(r, before);
	}
	if (email && a->idempotent == TOOL_IDEMPOTENT_METHOD)
		tool_reader_say(r, "an email has no method: idempotent must "
				   "be true or false");
}

static void tool_action_read_name(struct tool_reader *r, const char *name,
				  struct tool_action *a)
{
	if (!tool_name_valid(name))
		tool_reader_say(r,
				"an action's name has 1 to %d of a-z, 0-9 "
				"and -",
				TOOL_NAME_MAX_BYTES);
	a->name = strdup(name);
	if (!a->name)
		r->error = -ENOMEM;
}

void tool_action_read(struct tool_reader *r, const char *name,
		      const json_t *source, struct tool_action *out)
{
	static const char *const names[] = { "summary",
					     "params",
					     "request",
					     "timeout_ms",
					     "retry",
					     "idempotent",
					     "success",
					     "success_body",
					     "follow_redirects",
					     "result",
					     NULL };

	tool_action_read_name(r, name, out);
	tool_reader_object(r, source, names);
	if (!json_is_object(source))
		return;
	out->summary = tool_reader_line(r, source, "summary",
					TOOL_SUMMARY_MAX_BYTES);
	tool_action_read_params(r, source, out);
	if (!out->params)
		return; /* what refers to it cannot be judged */
	r->scope.params = out->params;
	r->scope.response = false;
	tool_action_read_requests(r, source, out);
	out->timeout_ms = tool_reader_int(r, source, "timeout_ms", 1,
					  TOOL_TIMEOUT_MAX_MS,
					  TOOL_TIMEOUT_DEFAULT_MS);
	tool_action_read_retry(r, source, &out->retry);
	out->idempotent = tool_action_read_idempotent(r, source);
	tool_action_read_success(r, source, out);
	out->follow_redirects = (int)tool_reader_int(r, source,
						     "follow_redirects", 0,
						     TOOL_REDIRECTS_MAX, 0);
	r->scope.response = true;
	out->result = tool_reader_template(r, source, "result",
					   TOOL_TEMPLATE_VALUE);
	tool_action_check_email(r, source, out);
}

/* --- outcomes ------------------------------------------------------------ */

bool tool_retry_on(const struct tool_retry *r, bool idempotent, int status)
{
	if (r->on_given)
		return tool_statuses_has(&r->on, status);
	if (status == 429 || status == 503)
		return true;
	return idempotent && (status == 408 || status == 500 || status == 502 ||
			      status == 504);
}

bool tool_action_succeeded(const struct tool_action *a, const json_t *response,
			   const char **reason)
{
	struct tool_violations v = { 0 };
	const json_t *body = json_object_get(response, "body");
	int r;

	*reason = NULL;
	if (!tool_statuses_has(&a->success,
			       (int)json_get_int(response, "status", 0))) {
		*reason = "its status is not one of a success";
		return false;
	}
	if (!a->success_body)
		return true;
	if (!body) {
		*reason = "its reply has no body";
		return false;
	}
	r = tool_schema_check(a->success_body, body, &v, NULL);
	tool_violations_deinit(&v);
	if (r)
		*reason = "its reply says that it failed";
	return r == 0;
}

int tool_action_result(const struct tool_action *a,
		       const struct tool_template_values *values,
		       struct tool_violations *v, json_t **out)
{
	json_t *result = NULL;
	int r = 0;

	if (a->result)
		r = tool_template_render(a->result, values, v, &result);
	else
		result = json_incref(json_object_get(values->response, "body"));
	if (r == 0)
		*out = result ? result : json_null();
	return r;
}
