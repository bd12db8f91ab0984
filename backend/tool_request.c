#include "backend/tool_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_json.h"
#include "backend/tool_reference.h"
#include "backend/tool_request_check.h"
#include "backend/tool_request_impl.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/json.h"

/* --- pieces -------------------------------------------------------------- */

void tool_secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void tool_secret_freep(char **s)
{
	tool_secret_free(*s);
}

void tool_rendering_refuse(struct tool_rendering *r,
			   const struct tool_template *t, const char *what,
			   const char *problem)
{
	struct tool_path place;

	tool_template_source(t, &place);
	tool_violations_add(r->violations, place.text, "%s %s", what, problem);
}

json_t *tool_rendering_value(struct tool_rendering *r,
			     const struct tool_template *t)
{
	json_t *v = NULL;
	int e;

	if (!t || r->error)
		return NULL;
	e = tool_template_render(t, r->values, r->violations, &v);
	if (e < 0)
		r->error = e;
	return e == 0 ? v : NULL;
}

char *tool_rendering_text_of(struct tool_rendering *r, const json_t *v)
{
	struct buf text = { 0 };
	char *s = NULL;
	size_t len;
	int e;

	if (json_is_string(v)) {
		s = strdup(json_string_value(v));
	} else {
		e = tool_json_append(&text, v);
		if (e == -EINVAL)
			e = buf_append_str(&text, "(nested too deep)");
		if (e == 0)
			s = buf_take(&text, &len);
		buf_deinit(&text);
	}
	if (!s)
		r->error = -ENOMEM;
	return s;
}

char *tool_rendering_text(struct tool_rendering *r,
			  const struct tool_template *t)
{
	_cleanup_json_ json_t *v = tool_rendering_value(r, t);

	return v ? tool_rendering_text_of(r, v) : NULL;
}

bool tool_rendering_masked(const struct tool_rendering *r, const char *text)
{
	return r->values->masked && strstr(text, TOOL_TEMPLATE_MASK);
}

/* --- which request ------------------------------------------------------- */

static bool tool_when_holds(struct tool_rendering *r,
			    const struct tool_reference *when)
{
	json_t *v = tool_reference_value(when, r->values, &r->error);
	bool there = v != NULL;

	json_decref(v);
	return there;
}

/* The first condition that does not hold, credentials before parameters;
 * NULL: all do. */
static const struct tool_reference *tool_request_missing(
	struct tool_rendering *r, const struct tool_request *q)
{
	const struct tool_reference *param = NULL;

	for (size_t i = 0; i < q->n_when; i++) {
		if (tool_when_holds(r, &q->when[i]))
			continue;
		if (tool_reference_is(&q->when[i], "credentials"))
			return &q->when[i];
		if (!param)
			param = &q->when[i];
	}
	return param;
}

/* "needs credentials.token and params.channel, or credentials.webhook" */
static void tool_request_say_needs(struct tool_rendering *r,
				   const struct tool_action *a)
{
	char text[TOOL_VIOLATION_MESSAGE_MAX_BYTES / 2] = "";
	size_t len = 0;

	for (size_t i = 0; i < a->n_requests; i++)
		for (size_t k = 0; k < a->requests[i].n_when; k++) {
			char name[64];

			tool_reference_text(&a->requests[i].when[k], name,
					    sizeof(name));
			if (len < sizeof(text))
				len += (size_t)snprintf(text + len,
							sizeof(text) - len,
							"%s%s",
							len == 0 ? ""
							: k == 0 ? ", or "
								 : " and ",
							name);
		}
	tool_violations_add(r->violations, "", "needs %s", text);
}

/* 0 with the request chosen, TOOL_REQUEST_E_CREDENTIALS, TOOL_E_INVALID. */
static int tool_request_choose(struct tool_rendering *r,
			       const struct tool_action *a)
{
	const struct tool_reference *param = NULL, *missing;
	struct tool_path place;

	for (size_t i = 0; i < a->n_requests; i++) {
		missing = tool_request_missing(r, &a->requests[i]);
		if (!missing) {
			r->request = &a->requests[i];
			return 0;
		}
		if (!param && tool_reference_is(missing, "params"))
			param = missing;
	}
	if (!param) {
		tool_request_say_needs(r, a);
		return TOOL_REQUEST_E_CREDENTIALS;
	}
	tool_reference_place(param, &place);
	tool_violations_add(r->violations, place.text,
			    "is required with the credentials that are there");
	return TOOL_E_INVALID;
}

/* --- rendering ----------------------------------------------------------- */

int tool_request_render(const struct tool_action *a,
			const struct tool_template_values *values,
			struct tool_violations *v, struct tool_rendered **out)
{
	struct tool_rendering r = { .values = values, .violations = v };
	size_t before = v->found;
	int e = tool_request_choose(&r, a);

	if (r.error || e)
		return r.error ? r.error : e;
	r.out = calloc(1, sizeof(*r.out));
	if (!r.out)
		return -ENOMEM;
	r.out->kind = r.request->kind;
	r.out->idempotent = a->idempotent == TOOL_IDEMPOTENT_YES;
	if (r.request->kind == TOOL_REQUEST_EMAIL)
		tool_rendering_email(&r);
	else
		tool_rendering_http(&r);
	if (r.out->method && a->idempotent == TOOL_IDEMPOTENT_METHOD)
		r.out->idempotent = tool_method_idempotent(r.out->method);
	if (!r.error)
		r.error = v->error;
	if (!r.error && v->found == before) {
		*out = r.out;
		return 0;
	}
	tool_rendered_free(r.out);
	return r.error ? r.error : TOOL_E_INVALID;
}

static void tool_list_free(char **list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		free(list[i]);
	free(list);
}

static void tool_email_deinit(struct tool_email *e)
{
	tool_secret_free(e->server);
	tool_secret_free(e->username);
	tool_secret_free(e->password);
	free(e->from);
	tool_list_free(e->to, e->n_to);
	tool_list_free(e->cc, e->n_cc);
	tool_list_free(e->bcc, e->n_bcc);
	free(e->reply_to);
	free(e->subject);
	tool_secret_free(e->text);
	tool_secret_free(e->html);
}

void tool_rendered_free(struct tool_rendered *r)
{
	if (!r)
		return;
	free(r->method);
	tool_secret_free(r->url);
	for (size_t i = 0; i < r->n_headers; i++) {
		free(r->headers[i].name);
		tool_secret_free(r->headers[i].value);
	}
	free(r->headers);
	buf_deinit_secret(&r->body);
	tool_email_deinit(&r->email);
	free(r);
}

/* --- what dry_run shows -------------------------------------------------- */

static json_t *tool_describe_headers(const struct tool_rendered *r)
{
	json_t *headers = json_object();

	for (size_t i = 0; i < r->n_headers; i++)
		if (json_object_set_new(headers, r->headers[i].name,
					json_string(r->headers[i].value))) {
			json_decref(headers);
			return NULL;
		}
	return headers;
}

/* JSON as JSON, everything else as text. */
static json_t *tool_describe_body(const struct tool_rendered *r)
{
	const char *data = r->body.len ? (const char *)r->body.data : "";
	json_t *v = NULL;

	if (!r->has_body)
		return json_null();
	for (size_t i = 0; i < r->n_headers; i++)
		if (!strcasecmp(r->headers[i].name, "content-type") &&
		    strstr(r->headers[i].value, "json"))
			v = json_loadb(data, r->body.len, JSON_DECODE_ANY,
				       NULL);
	return v ? v : json_stringn(data, r->body.len);
}

static json_t *tool_describe_list(char *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(out, json_string(list[i]))) {
			json_decref(out);
			return NULL;
		}
	return out;
}

int tool_rendered_describe(const struct tool_rendered *r, json_t **out)
{
	const struct tool_email *e = &r->email;

	if (r->kind == TOOL_REQUEST_HTTP)
		*out = json_pack("{ss ss so so}", "method", r->method, "url",
				 r->url, "headers", tool_describe_headers(r),
				 "body", tool_describe_body(r));
	else
		*out = json_pack("{ss ss? ss? ss so so so ss? ss ss? ss?}",
				 "server", e->server, "username", e->username,
				 "password", e->password, "from", e->from, "to",
				 tool_describe_list(e->to, e->n_to), "cc",
				 tool_describe_list(e->cc, e->n_cc), "bcc",
				 tool_describe_list(e->bcc, e->n_bcc),
				 "reply_to", e->reply_to, "subject", e->subject,
				 "text", e->text, "html", e->html);
	return *out ? 0 : -ENOMEM;
}
