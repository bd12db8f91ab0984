#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_file_impl.h"
#include "backend/tool_reference.h"
#include "backend/tool_request.h"
#include "backend/tool_request_check.h"
#include "backend/tool_schema.h"
#include "common/json.h"

void tool_request_deinit(struct tool_request *q)
{
	struct tool_template *const templates[] = {
		q->method,      q->url,          q->headers,     q->query,
		q->json,        q->form,         q->text,        q->bearer,
		q->username,    q->password,     q->hmac_secret, q->server,
		q->header_name, q->header_value, q->from,        q->to,
		q->cc,          q->bcc,          q->reply_to,    q->subject,
		q->html,
	};

	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		tool_template_free(templates[i]);
	for (size_t i = 0; i < q->n_when; i++)
		tool_reference_deinit(&q->when[i]);
	free(q->hmac_header);
	*q = (struct tool_request){ 0 };
}

/* --- when ---------------------------------------------------------------- */

static void tool_request_read_condition(struct tool_reader *r, const json_t *v,
					struct tool_request *q)
{
	struct tool_reference *ref = &q->when[q->n_when];
	int e;

	if (!json_is_string(v)) {
		tool_reader_say(r, "must be a string, not %s",
				json_type_name(v));
		return;
	}
	e = tool_reference_parse(json_string_value(v), json_string_length(v),
				 &r->scope, &r->path, r->violations, ref);
	if (e < 0)
		r->error = e;
	if (e)
		return;
	q->n_when++;
	if (!tool_reference_is(ref, "credentials") &&
	    !(tool_reference_is(ref, "params") && ref->n_names > 1))
		tool_reader_say(r, "must be credentials.NAME or params.NAME");
}

static void tool_request_read_when(struct tool_reader *r, const json_t *source,
				   struct tool_request *q)
{
	size_t before, i;
	const json_t *v = tool_reader_enter(r, source, "when", &before);
	const json_t *item;

	if (!v)
		return;
	if (!json_is_array(v) || json_array_size(v) > TOOL_WHEN_MAX)
		tool_reader_say(r, "must be a list of at most %d references",
				TOOL_WHEN_MAX);
	else
		json_array_foreach(v, i, item) {
			size_t here = tool_path_push_index(&r->path, i);

			tool_request_read_condition(r, item, q);
			tool_path_pop(&r->path, here);
		}
	tool_reader_leave(r, before);
}

/* --- http ---------------------------------------------------------------- */

/* The member must be there and be a string. */
static void tool_request_need_string(struct tool_reader *r,
				     const json_t *source, const char *name)
{
	const json_t *v = json_object_get(source, name);
	size_t before = tool_path_push(&r->path, name);

	if (!v)
		tool_reader_say(r, "is required");
	else if (!json_is_string(v))
		tool_reader_say(r, "must be a string, not %s",
				json_type_name(v));
	tool_path_pop(&r->path, before);
}

/* An object, or one reference to what will be one. */
static void tool_request_need_fields(struct tool_reader *r,
				     const json_t *source, const char *name)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, source, name, &before);

	if (!v)
		return;
	if (!json_is_object(v) && !json_is_array(v) &&
	    !(json_is_string(v) && strstr(json_string_value(v), "{{")))
		tool_reader_say(r, "must be an object, a reference to one, or "
				   "a list of these");
	tool_reader_leave(r, before);
}

static void tool_request_check_header_names(struct tool_reader *r,
					    const json_t *v)
{
	const char *name, *why;
	const json_t *item;
	json_t *value;
	size_t i;

	json_array_foreach(v, i, item) {
		size_t here = tool_path_push_index(&r->path, i);

		if (json_is_object(item))
			tool_request_check_header_names(r, item);
		tool_path_pop(&r->path, here);
	}
	json_object_foreach((json_t *)v, name, value) {
		size_t here = tool_path_push(&r->path, name);

		why = tool_header_name_problem(name);
		if (why)
			tool_reader_say(r, "%s", why);
		tool_path_pop(&r->path, here);
	}
}

static void tool_request_check_headers(struct tool_reader *r,
				       const json_t *source)
{
	size_t before;
	const json_t *v = tool_reader_enter(r, source, "headers", &before);

	if (!v)
		return;
	tool_request_check_header_names(r, v);
	tool_reader_leave(r, before);
}

static void tool_request_check_constants(struct tool_reader *r,
					 const json_t *source)
{
	const char *method = json_string_value(
		json_object_get(source, "method"));
	const char *url = json_string_value(json_object_get(source, "url"));
	size_t before;

	if (method && !strstr(method, "{{") && !tool_method_valid(method)) {
		before = tool_path_push(&r->path, "method");
		tool_reader_say(r,
				"must be one of " TOOL_METHOD_NAMES
				", not \"%.20s\"",
				method);
		tool_path_pop(&r->path, before);
	}
	if (url && strncmp(url, "{{", 2) != 0 &&
	    strncasecmp(url, "http://", 7) != 0 &&
	    strncasecmp(url, "https://", 8) != 0) {
		before = tool_path_push(&r->path, "url");
		tool_reader_say(r, "must begin with https:// or http://");
		tool_path_pop(&r->path, before);
	}
}

static void tool_request_read_basic(struct tool_reader *r, const json_t *auth,
				    struct tool_request *q)
{
	static const char *const names[] = { "username", "password", NULL };
	size_t before;
	const json_t *v = tool_reader_enter(r, auth, "basic", &before);

	if (!v)
		return;
	tool_reader_object(r, v, names);
	q->username = tool_reader_template(r, v, "username",
					   TOOL_TEMPLATE_HEADER);
	q->password = tool_reader_template(r, v, "password",
					   TOOL_TEMPLATE_HEADER);
	if (!json_object_get(v, "username"))
		tool_reader_say(r, "must have a username");
	tool_reader_leave(r, before);
}

static void tool_request_read_auth_header(struct tool_reader *r,
					  const json_t *auth,
					  struct tool_request *q)
{
	static const char *const names[] = { "name", "value", NULL };
	size_t before;
	const json_t *v = tool_reader_enter(r, auth, "header", &before);

	if (!v)
		return;
	tool_reader_object(r, v, names);
	q->header_name = tool_reader_template(r, v, "name",
					      TOOL_TEMPLATE_HEADER);
	q->header_value = tool_reader_template(r, v, "value",
					       TOOL_TEMPLATE_HEADER);
	if (!json_object_get(v, "name") || !json_object_get(v, "value"))
		tool_reader_say(r, "must have a name and a value");
	tool_reader_leave(r, before);
}

static void tool_request_read_hmac(struct tool_reader *r, const json_t *auth,
				   struct tool_request *q)
{
	static const char *const names[] = { "secret", "header", NULL };
	size_t before;
	const json_t *v = tool_reader_enter(r, auth, "hmac_sha256", &before);
	const char *why;

	if (!v)
		return;
	tool_reader_object(r, v, names);
	q->hmac_secret = tool_reader_template(r, v, "secret",
					      TOOL_TEMPLATE_VALUE);
	q->hmac_header = tool_reader_line(r, v, "header",
					  TOOL_HEADER_NAME_MAX_BYTES);
	why = q->hmac_header ? tool_header_name_problem(q->hmac_header) : NULL;
	if (!json_object_get(v, "secret") || !json_object_get(v, "header"))
		tool_reader_say(r, "must have a secret and a header");
	else if (why)
		tool_reader_say(r, "%s", why);
	tool_reader_leave(r, before);
}

static void tool_request_read_auth(struct tool_reader *r, const json_t *source,
				   struct tool_request *q)
{
	static const char *const names[] = { "bearer", "basic", "header",
					     "hmac_sha256", NULL };
	size_t before;
	const json_t *v = tool_reader_enter(r, source, "auth", &before);

	if (!v)
		return;
	tool_reader_object(r, v, names);
	q->bearer = tool_reader_template(r, v, "bearer", TOOL_TEMPLATE_HEADER);
	tool_request_read_basic(r, v, q);
	tool_request_read_auth_header(r, v, q);
	tool_request_read_hmac(r, v, q);
	tool_reader_leave(r, before);
}

static void tool_request_read_http(struct tool_reader *r, const json_t *source,
				   struct tool_request *q)
{
	static const char *const names[] = { "when",    "method", "url",
					     "headers", "query",  "json",
					     "form",    "text",   "auth",
					     NULL };

	q->kind = TOOL_REQUEST_HTTP;
	tool_reader_object(r, source, names);
	tool_request_need_string(r, source, "url");
	tool_request_need_fields(r, source, "headers");
	tool_request_need_fields(r, source, "query");
	tool_request_need_fields(r, source, "form");
	tool_request_check_headers(r, source);
	tool_request_check_constants(r, source);
	q->method = tool_reader_template(r, source, "method",
					 TOOL_TEMPLATE_VALUE);
	q->url = tool_reader_template(r, source, "url", TOOL_TEMPLATE_URL);
	q->headers = tool_reader_template(r, source, "headers",
					  TOOL_TEMPLATE_HEADER);
	q->query = tool_reader_template(r, source, "query",
					TOOL_TEMPLATE_VALUE);
	q->json = tool_reader_template(r, source, "json", TOOL_TEMPLATE_VALUE);
	q->form = tool_reader_template(r, source, "form", TOOL_TEMPLATE_VALUE);
	q->text = tool_reader_template(r, source, "text", TOOL_TEMPLATE_VALUE);
	tool_request_read_auth(r, source, q);
}

/* --- email --------------------------------------------------------------- */

static void tool_request_read_email(struct tool_reader *r, const json_t *email,
				    struct tool_request *q)
{
	static const char *const names[] = { "server", "username", "password",
					     "from",   "to",       "cc",
					     "bcc",    "reply_to", "subject",
					     "text",   "html",     NULL };
	const struct {
		const char *name;
		struct tool_template **out;
		enum tool_template_place place;
	} parts[] = {
		{ "server", &q->server, TOOL_TEMPLATE_HEADER },
		{ "username", &q->username, TOOL_TEMPLATE_HEADER },
		{ "password", &q->password, TOOL_TEMPLATE_HEADER },
		{ "from", &q->from, TOOL_TEMPLATE_HEADER },
		{ "to", &q->to, TOOL_TEMPLATE_HEADER },
		{ "cc", &q->cc, TOOL_TEMPLATE_HEADER },
		{ "bcc", &q->bcc, TOOL_TEMPLATE_HEADER },
		{ "reply_to", &q->reply_to, TOOL_TEMPLATE_HEADER },
		{ "subject", &q->subject, TOOL_TEMPLATE_HEADER },
		{ "text", &q->text, TOOL_TEMPLATE_VALUE },
		{ "html", &q->html, TOOL_TEMPLATE_VALUE },
	};

	q->kind = TOOL_REQUEST_EMAIL;
	tool_reader_object(r, email, names);
	tool_request_need_string(r, email, "server");
	tool_request_need_string(r, email, "from");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		*parts[i].out = tool_reader_template(r, email, parts[i].name,
						     parts[i].place);
	if (!q->to && !q->cc && !q->bcc)
		tool_reader_say(r, "must have to, cc or bcc");
	if (!q->text && !q->html)
		tool_reader_say(r, "must have text or html");
}

void tool_request_read(struct tool_reader *r, const json_t *source,
		       struct tool_request *out)
{
	static const char *const names[] = { "when", "email", NULL };
	size_t before;
	const json_t *email;

	if (!json_is_object(source)) {
		tool_reader_say(r, "must be an object, not %s",
				json_type_name(source));
		return;
	}
	tool_request_read_when(r, source, out);
	email = tool_reader_enter(r, source, "email", &before);
	if (!email) {
		tool_request_read_http(r, source, out);
		return;
	}
	tool_request_read_email(r, email, out);
	tool_reader_leave(r, before);
	tool_reader_object(r, source, names);
}
