/*
 * Arbitrary YAML as a tool's file; what follows a NUL byte is JSON, the
 * parameters of a call. A file that is refused says why; with one that is
 * accepted every action is called with these parameters, with and without
 * credentials, and nothing that a parameter brings gets a line break or a
 * header of the connection into the request. seed_tool.py makes a corpus.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_file.h"
#include "backend/tool_request.h"
#include "backend/tool_schema.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_line(const char *s)
{
	assert(!s || !strpbrk(s, "\r\n"));
}

static void check_rendered(const struct tool_rendered *r)
{
	json_t *shown = NULL;

	check_line(r->method);
	check_line(r->url);
	assert(!r->url || strlen(r->url) <= TOOL_URL_MAX_BYTES);
	assert(r->n_headers <= TOOL_HEADERS_MAX);
	for (size_t i = 0; i < r->n_headers; i++) {
		check_line(r->headers[i].name);
		check_line(r->headers[i].value);
		assert(strcasecmp(r->headers[i].name, "host") != 0);
		assert(strcasecmp(r->headers[i].name, "content-length") != 0);
	}
	check_line(r->email.from);
	check_line(r->email.subject);
	for (size_t i = 0; i < r->email.n_to; i++)
		check_line(r->email.to[i]);
	assert(tool_rendered_describe(r, &shown) == 0);
	json_decref(shown);
}

static void check_render(const struct tool_action *a,
			 const struct tool_template_values *values)
{
	struct tool_violations why = { 0 };
	struct tool_rendered *rendered = NULL;
	json_t *result = NULL;
	const char *reason;
	int r = tool_request_render(a, values, &why, &rendered);

	assert(r >= 0);
	assert((r == 0) == (why.found == 0));
	if (r == 0)
		check_rendered(rendered);
	tool_rendered_free(rendered);
	tool_violations_deinit(&why);
	(void)tool_action_succeeded(a, values->response, &reason);
	r = tool_action_result(a, values, &why, &result);
	assert(r >= 0 && (r == 0) == (result != NULL));
	json_decref(result);
	tool_violations_deinit(&why);
}

static json_t *credentials_of(const struct tool *t)
{
	json_t *o = json_object();

	for (size_t i = 0; i < t->n_credentials; i++)
		json_object_set_new(o, t->credentials[i].name,
				    json_string("https://example.org/s3cr3t"));
	return o;
}

static void check_action(const struct tool *t, const struct tool_action *a,
			 const json_t *params)
{
	struct tool_violations why = { 0 };
	json_t *filled = NULL, *none = json_object();
	json_t *credentials = credentials_of(t);
	json_t *response = json_pack("{si s{ss} sO}", "status", 200, "headers",
				     "content-type", "text/plain", "body",
				     params);
	struct tool_template_values values = {
		.context = none,
		.idempotency_key = "key",
		.response = response,
	};
	int r = tool_schema_check(a->params, params, &why, &filled);

	assert(r >= 0 && (r == 0) == (why.found == 0));
	assert(json_array_size(why.list) <= TOOL_VIOLATIONS_MAX);
	for (int i = 0; r == 0 && i < 3; i++) {
		values.params = filled;
		values.credentials = i == 0 ? none : credentials;
		values.masked = i == 2;
		check_render(a, &values);
	}
	tool_violations_deinit(&why);
	json_decref(filled);
	json_decref(credentials);
	json_decref(none);
	json_decref(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, '\0', len);
	size_t n = end ? (size_t)(end - data) : len;
	struct tool_violations why = { 0 };
	struct tool *t = NULL;
	json_t *params = end ? json_loadb((const char *)end + 1, len - n - 1,
					  JSON_DECODE_ANY, NULL)
			     : NULL;
	struct buf text = { 0 };
	int r = tool_file_load("t.yaml", data, n, &why, &t);

	assert(r >= 0 && (r == 0) == (why.found == 0));
	assert(tool_violations_text(&why, &text) == 0);
	if (!params)
		params = json_object();
	for (size_t i = 0; r == 0 && i < t->n_actions; i++)
		check_action(t, &t->actions[i], params);
	json_decref(params);
	tool_free(t);
	buf_deinit(&text);
	tool_violations_deinit(&why);
	return 0;
}
