#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_json.h"
#include "backend/tool_request_check.h"
#include "backend/tool_request_impl.h"
#include "backend/tool_violations.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/percent.h"

/* --- headers ------------------------------------------------------------- */

static bool tool_has_header(const struct tool_rendered *o, const char *name)
{
	for (size_t i = 0; i < o->n_headers; i++)
		if (!strcasecmp(o->headers[i].name, name))
			return true;
	return false;
}

/* Takes value; the last of a name counts. */
static void tool_add_header(struct tool_rendering *r, const char *name,
			    char *value)
{
	struct tool_rendered *o = r->out;
	struct tool_header *h;

	if (!value || r->error || o->n_headers == TOOL_HEADERS_MAX) {
		if (value && !r->error)
			tool_violations_add(r->violations, "",
					    "the request has more than %d "
					    "headers",
					    TOOL_HEADERS_MAX);
		tool_secret_free(value);
		return;
	}
	for (size_t i = 0; i < o->n_headers; i++)
		if (!strcasecmp(o->headers[i].name, name)) {
			tool_secret_free(o->headers[i].value);
			o->headers[i].value = value;
			return;
		}
	if (!o->headers)
		o->headers = calloc(TOOL_HEADERS_MAX, sizeof(*o->headers));
	if (!o->headers) {
		r->error = -ENOMEM;
		tool_secret_free(value);
		return;
	}
	h = &o->headers[o->n_headers++];
	h->value = value;
	h->name = strdup(name);
	if (!h->name)
		r->error = -ENOMEM;
}

static void tool_render_header(struct tool_rendering *r, const char *name,
			       const json_t *v)
{
	const char *problem = tool_header_name_problem(name);
	char *text;

	if (json_is_null(v))
		return;
	if (!problem && (json_is_object(v) || json_is_array(v)))
		problem = "must be a string";
	if (problem) {
		tool_violations_add(r->violations, "",
				    "the header \"%.60s\" %s", name, problem);
		return;
	}
	text = tool_rendering_text_of(r, v);
	problem = text ? tool_header_value_problem(text) : NULL;
	if (!problem) {
		tool_add_header(r, name, text);
		return;
	}
	tool_violations_add(r->violations, "", "the header \"%.60s\" %s", name,
			    problem);
	tool_secret_free(text);
}

static void tool_render_header_object(struct tool_rendering *r, json_t *v)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v))
		tool_rendering_refuse(r, r->request->headers, "the headers",
				      "must be an object");
	json_object_foreach(v, name, value)
		tool_render_header(r, name, value);
}

static void tool_render_headers(struct tool_rendering *r)
{
	_cleanup_json_ json_t *v = tool_rendering_value(r, r->request->headers);
	json_t *item;
	size_t i;

	if (json_is_array(v))
		json_array_foreach(v, i, item)
			tool_render_header_object(r, item);
	else if (v)
		tool_render_header_object(r, v);
}

/* --- auth ---------------------------------------------------------------- */

static void tool_add_authorization(struct tool_rendering *r, const char *scheme,
				   const char *value)
{
	struct buf b = { 0 };
	size_t len;

	if (tool_has_header(r->out, "authorization"))
		tool_violations_add(r->violations, "",
				    "the request has an Authorization header "
				    "and auth: one of them is to go");
	if (buf_printf(&b, "%s %s", scheme, value)) {
		buf_deinit_secret(&b);
		r->error = -ENOMEM;
		return;
	}
	if (b.len > TOOL_HEADER_VALUE_MAX_BYTES)
		tool_violations_add(r->violations, "",
				    "a credential is too long for a header");
	tool_add_header(r, "Authorization", buf_take(&b, &len));
}

static void tool_render_basic(struct tool_rendering *r, const char *username,
			      const char *password)
{
	struct buf plain = { 0 }, coded = { 0 };
	int n;

	if (strchr(username, ':'))
		tool_rendering_refuse(r, r->request->username, "the user name",
				      "must not have a colon");
	r->error = buf_printf(&plain, "%s:%s", username, password);
	if (!r->error)
		r->error = buf_reserve(&coded, plain.len / 3 * 4 + 8);
	if (!r->error) {
		n = EVP_EncodeBlock(coded.data, plain.data, (int)plain.len);
		coded.len = (size_t)n;
		tool_add_authorization(r, "Basic", (char *)coded.data);
	}
	buf_deinit_secret(&plain);
	buf_deinit_secret(&coded);
}

/* The first of bearer and basic whose values are there. */
static void tool_render_auth(struct tool_rendering *r)
{
	_cleanup_(tool_secret_freep) char *bearer =
		tool_rendering_text(r, r->request->bearer);
	_cleanup_(tool_secret_freep) char *username =
		tool_rendering_text(r, r->request->username);
	_cleanup_(tool_secret_freep) char *password =
		tool_rendering_text(r, r->request->password);

	if (r->error)
		return;
	if (bearer)
		tool_add_authorization(r, "Bearer", bearer);
	else if (username && r->values->masked)
		tool_add_authorization(r, "Basic", TOOL_TEMPLATE_MASK);
	else if (username)
		tool_render_basic(r, username, password ? password : "");
}

static void tool_render_auth_header(struct tool_rendering *r)
{
	_cleanup_(tool_secret_freep) char *name =
		tool_rendering_text(r, r->request->header_name);
	_cleanup_json_ json_t *value =
		tool_rendering_value(r, r->request->header_value);

	if (name && value)
		tool_render_header(r, name, value);
}

static void tool_render_hmac(struct tool_rendering *r)
{
	_cleanup_(tool_secret_freep) char *secret =
		tool_rendering_text(r, r->request->hmac_secret);
	const struct buf *body = &r->out->body;
	unsigned char mac[EVP_MAX_MD_SIZE];
	char text[7 + 2 * EVP_MAX_MD_SIZE + 1] = "sha256=";
	unsigned int n = 0;

	if (!secret || r->error)
		return;
	if (r->values->masked)
		strcat(text, TOOL_TEMPLATE_MASK);
	else if (HMAC(EVP_sha256(), secret, (int)strlen(secret),
		      body->len ? body->data : (const uint8_t *)"", body->len,
		      mac, &n))
		hex_encode(mac, n, text + 7);
	else
		r->error = -ENOMEM;
	if (!r->error)
		tool_add_header(r, r->request->hmac_header, strdup(text));
}

/* --- fields -------------------------------------------------------------- */

static void tool_encode(struct tool_rendering *r, const char *s,
			struct buf *out)
{
	bool mask = r->values->masked && !strcmp(s, TOOL_TEMPLATE_MASK);

	if (!r->error)
		r->error = mask ? buf_append_str(out, s)
				: percent_append(out, s);
}

static void tool_render_field(struct tool_rendering *r, const char *name,
			      const json_t *v, size_t *n, struct buf *out)
{
	_cleanup_(tool_secret_freep) char *text = NULL;

	if (json_is_null(v) || r->error)
		return;
	if (json_is_object(v) || json_is_array(v)) {
		tool_violations_add(r->violations, "",
				    "the field \"%.60s\" must be a string, a "
				    "number, a boolean or a list of these",
				    name);
		return;
	}
	if (++*n > TOOL_FIELDS_MAX) {
		if (*n == TOOL_FIELDS_MAX + 1)
			tool_violations_add(r->violations, "",
					    "more than %d fields",
					    TOOL_FIELDS_MAX);
		return;
	}
	text = tool_rendering_text_of(r, v);
	if (out->len > 0 && !r->error)
		r->error = buf_append(out, "&", 1);
	tool_encode(r, name, out);
	if (!r->error)
		r->error = buf_append(out, "=", 1);
	if (text)
		tool_encode(r, text, out);
}

static void tool_render_field_object(struct tool_rendering *r,
				     const struct tool_template *t,
				     const char *what, json_t *v, size_t *n,
				     struct buf *out)
{
	const char *name;
	json_t *value, *item;
	size_t i;

	if (!json_is_object(v))
		tool_rendering_refuse(r, t, what, "must be an object");
	json_object_foreach(v, name, value) {
		if (json_is_array(value))
			json_array_foreach(value, i, item)
				tool_render_field(r, name, item, n, out);
		else
			tool_render_field(r, name, value, n, out);
	}
}

/* "a=1&a=2&b=x"; true when the template is there. */
static bool tool_render_fields(struct tool_rendering *r,
			       const struct tool_template *t, const char *what,
			       struct buf *out)
{
	_cleanup_json_ json_t *v = tool_rendering_value(r, t);
	json_t *item;
	size_t i, n = 0;

	if (json_is_array(v))
		json_array_foreach(v, i, item)
			tool_render_field_object(r, t, what, item, &n, out);
	else if (v)
		tool_render_field_object(r, t, what, v, &n, out);
	return v != NULL;
}

/* --- the URL ------------------------------------------------------------- */

/* Puts the query behind the URL's own; a fragment is not sent. */
static void tool_add_query(struct tool_rendering *r)
{
	struct buf query = { 0 }, url = { 0 };
	size_t len;

	tool_render_fields(r, r->request->query, "the query", &query);
	if (query.len == 0 || r->error) {
		buf_deinit_secret(&query);
		return;
	}
	r->error = buf_append_str(&url, r->out->url);
	if (!r->error)
		r->error = buf_append_str(&url,
					  strchr(r->out->url, '?') ? "&" : "?");
	if (!r->error)
		r->error = buf_append(&url, query.data, query.len);
	buf_deinit_secret(&query);
	if (!r->error) {
		tool_secret_free(r->out->url);
		r->out->url = buf_take(&url, &len);
		if (!r->out->url)
			r->error = -ENOMEM;
		else if (len > TOOL_URL_MAX_BYTES)
			tool_violations_add(r->violations, "",
					    "the URL with its query has more "
					    "than %d bytes",
					    TOOL_URL_MAX_BYTES);
	}
	buf_deinit_secret(&url);
}

static void tool_render_url(struct tool_rendering *r)
{
	const struct tool_template *t = r->request->url;
	struct tool_path place;
	bool whole = tool_template_source(t, &place);
	const char *problem;

	r->out->url = tool_rendering_text(r, t);
	if (!r->out->url) {
		if (!r->error)
			tool_rendering_refuse(r, t, "the URL", "is absent");
		return;
	}
	r->out->url[strcspn(r->out->url, "#")] = '\0';
	problem = tool_rendering_masked(r, r->out->url)
			  ? tool_header_value_problem(r->out->url)
			  : tool_url_problem(r->out->url, whole);
	if (problem)
		tool_rendering_refuse(r, t, "the URL", problem);
	else
		tool_add_query(r);
}

/* --- the body ------------------------------------------------------------ */

static void tool_default_header(struct tool_rendering *r, const char *name,
				const char *value)
{
	char *copy;

	if (tool_has_header(r->out, name) || r->error)
		return;
	copy = strdup(value);
	if (!copy)
		r->error = -ENOMEM;
	tool_add_header(r, name, copy);
}

static bool tool_render_json(struct tool_rendering *r)
{
	_cleanup_json_ json_t *v = tool_rendering_value(r, r->request->json);
	int e;

	if (!v)
		return false;
	e = tool_json_append(&r->out->body, v);
	if (e == -EINVAL)
		tool_rendering_refuse(r, r->request->json, "the body",
				      "is nested too deep");
	else if (e)
		r->error = e;
	tool_default_header(r, "Content-Type", "application/json");
	return true;
}

static bool tool_render_form(struct tool_rendering *r)
{
	if (!tool_render_fields(r, r->request->form, "the form", &r->out->body))
		return false;
	tool_default_header(r, "Content-Type",
			    "application/x-www-form-urlencoded");
	return true;
}

static bool tool_render_text(struct tool_rendering *r)
{
	_cleanup_(tool_secret_freep) char *text =
		tool_rendering_text(r, r->request->text);

	if (!text)
		return false;
	if (!r->error)
		r->error = buf_append_str(&r->out->body, text);
	tool_default_header(r, "Content-Type", "text/plain; charset=utf-8");
	return true;
}

static void tool_render_body(struct tool_rendering *r)
{
	int n = tool_render_json(r);

	n += tool_render_form(r);
	n += tool_render_text(r);
	r->out->has_body = n > 0;
	if (n > 1)
		tool_violations_add(r->violations, "",
				    "of json, form and text only one can be "
				    "the body");
}

static void tool_render_method(struct tool_rendering *r)
{
	struct tool_rendered *o = r->out;

	o->method = tool_rendering_text(r, r->request->method);
	if (!o->method && !r->error)
		o->method = strdup(o->has_body ? "POST" : "GET");
	if (!o->method)
		r->error = r->error ? r->error : -ENOMEM;
	else if (!tool_method_valid(o->method))
		tool_rendering_refuse(r, r->request->method, "the method",
				      "must be one of " TOOL_METHOD_NAMES);
}

void tool_rendering_http(struct tool_rendering *r)
{
	tool_render_url(r);
	tool_render_headers(r);
	tool_render_body(r);
	tool_render_method(r);
	tool_render_auth(r);
	tool_render_auth_header(r);
	tool_render_hmac(r);
}
