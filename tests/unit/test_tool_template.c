#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/tool_json.h"
#include "backend/tool_schema.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/buf.h"
#include "common/json.h"
#include "tests/unit/js.h"

struct fixture {
	struct tool_schema *params_schema;
	json_t *credentials_known; /* as the file has them */
	json_t *params, *credentials, *context, *response;
	struct tool_template_scope scope;
	struct tool_template_values values;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tool_violations v = { 0 };
	struct tool_path path;
	json_t *source = js(
		"{'properties':{'s':{'type':'string'},'n':{},'o':{},'l':{},"
		"'b':{},'gone':{},'nul':{},'r':{},'evil':{},'dots':{},"
		"'line':{},'t':{}},'additionalProperties':false}");

	assert_non_null(f);
	tool_path_init(&path, "");
	assert_int_equal(
		tool_schema_compile(source, &path, &v, &f->params_schema), 0);
	json_decref(source);
	f->credentials_known = js("{'token':{},'spare':{},"
				  "'named':{'from':'params.s'},"
				  "'lost':{'from':'params.nothing'}}");
	f->params = js("{'s':'a b/\xc3\xa9','n':12,'b':true,'nul':null,"
		       "'r':0.1,'o':{'a':{'b':'deep'},'x':1.5},"
		       "'l':[1,'two',{'three':3}],'evil':'{{params.s}}',"
		       "'dots':'..','line':'a\\r\\nX: y','t':'tab\\there'}");
	f->credentials = js("{'token':'s3cr3t/+'}");
	f->context = js("{'job':'job_1','execution':'ex_1','trace_id':'abc'}");
	f->response = js("{'status':201,'headers':{'x-rate':'7'},"
			 "'body':{'id':5,'list':[{'k':'v'}]}}");
	f->scope = (struct tool_template_scope){ f->params_schema,
						 f->credentials_known, true };
	f->values = (struct tool_template_values){
		.params = f->params,
		.credentials = f->credentials,
		.context = f->context,
		.idempotency_key = "key-1",
		.response = f->response,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tool_schema_free(f->params_schema);
	json_decref(f->credentials_known);
	json_decref(f->params);
	json_decref(f->credentials);
	json_decref(f->context);
	json_decref(f->response);
	free(f);
	return 0;
}

/* The value rendered as JSON, "(absent)", or the violations. free(). */
static char *render(struct fixture *f, enum tool_template_place place,
		    const char *source)
{
	struct tool_violations v = { 0 };
	struct tool_template *t = NULL;
	struct buf text = { 0 };
	struct tool_path path;
	json_t *s = js(source), *out = NULL;
	size_t len;
	int r;

	tool_path_init(&path, "/t");
	r = tool_template_compile(s, place, &f->scope, &path, &v, &t);
	if (r == 0)
		r = tool_template_render(t, &f->values, &v, &out);
	assert_true(r >= 0);
	assert_int_equal(r, v.found ? TOOL_E_INVALID : 0);
	if (r)
		assert_int_equal(tool_violations_text(&v, &text), 0);
	else if (out)
		assert_int_equal(tool_json_append(&text, out), 0);
	else
		assert_int_equal(buf_append_str(&text, "(absent)"), 0);
	json_decref(out);
	json_decref(s);
	tool_template_free(t);
	tool_violations_deinit(&v);
	return buf_take(&text, &len);
}

static void assert_renders_at(struct fixture *f, enum tool_template_place place,
			      const char *source, const char *want)
{
	char *got = render(f, place, source);
	struct buf expected = { 0 };
	json_t *w = js(want);

	assert_int_equal(tool_json_append(&expected, w), 0);
	assert_string_equal(got, buf_cstr(&expected));
	json_decref(w);
	buf_deinit(&expected);
	free(got);
}

static void assert_renders(struct fixture *f, const char *source,
			   const char *want)
{
	assert_renders_at(f, TOOL_TEMPLATE_VALUE, source, want);
}

static void assert_says(struct fixture *f, enum tool_template_place place,
			const char *source, const char *says)
{
	char *got = render(f, place, source);

	if (!strstr(got, says))
		fail_msg("%s: \"%s\" is not in \"%s\"", source, says, got);
	free(got);
}

static void test_whole_reference_is_the_value(void **state)
{
	assert_renders(*state, "'{{params.n}}'", "12");
	assert_renders(*state, "'{{params.b}}'", "true");
	assert_renders(*state, "'{{params.nul}}'", "null");
	assert_renders(*state, "'{{ params.r }}'", "0.1");
	assert_renders(*state, "'{{params.o}}'", "{'a':{'b':'deep'},'x':1.5}");
	assert_renders(*state, "'{{params.o.a.b}}'", "'deep'");
	assert_renders(*state, "'{{params.l.2.three}}'", "3");
	assert_renders(*state, "'{{credentials.token}}'", "'s3cr3t/+'");
	assert_renders(*state, "'{{context.job}}'", "'job_1'");
	assert_renders(*state, "'{{context.execution}}'", "'ex_1'");
	assert_renders(*state, "'{{context.trace_id}}'", "'abc'");
	assert_renders(*state, "'{{idempotency_key}}'", "'key-1'");
	assert_renders(*state, "'{{response.status}}'", "201");
	assert_renders(*state, "'{{response.headers.X-Rate}}'", "'7'");
	assert_renders(*state, "'{{response.headers}}'", "{'x-rate':'7'}");
	assert_renders(*state, "'{{response.body.list.0.k}}'", "'v'");
}

static void test_inserts_text(void **state)
{
	assert_renders(*state, "'n={{params.n}} b={{params.b}}'",
		       "'n=12 b=true'");
	assert_renders(*state, "'<{{params.s}}>'", "'<a b/\xc3\xa9>'");
	assert_renders(*state, "'{{params.r}}{{params.nul}}'", "'0.1null'");
	assert_renders(*state, "'{{params.n}}{{params.n}}'", "'1212'");
	assert_renders(*state, "' {{params.n}}'", "' 12'");
}

static void test_inserts_json(void **state)
{
	char *got = render(*state, TOOL_TEMPLATE_VALUE,
			   "'{{params.o}} {{params.l}}'");

	assert_string_equal(got,
			    "\"{\\\"a\\\":{\\\"b\\\":\\\"deep\\\"},\\\"x\\\":"
			    "1.5} [1,\\\"two\\\",{\\\"three\\\":3}]\"");
	free(got);
}

static void test_absent_is_left_out(void **state)
{
	assert_renders(*state,
		       "{'a':'{{params.gone}}','b':['{{params.gone}}',1],"
		       "'c':'x{{params.gone}}y','d':{'e':'{{params.o.no}}'},"
		       "'f':'{{params.nul}}'}",
		       "{'b':[1],'c':'xy','d':{},'f':null}");
	assert_says(*state, TOOL_TEMPLATE_VALUE, "'{{params.gone}}'",
		    "(absent)");
	assert_says(*state, TOOL_TEMPLATE_VALUE, "'{{credentials.spare}}'",
		    "(absent)");
	assert_says(*state, TOOL_TEMPLATE_VALUE, "'{{params.l.9}}'",
		    "(absent)");
	assert_says(*state, TOOL_TEMPLATE_VALUE, "'{{response.body.no.way}}'",
		    "(absent)");
}

static void test_inserted_is_not_looked_at(void **state)
{
	assert_renders(*state, "'{{params.evil}}'", "'{{params.s}}'");
	assert_renders(*state, "'x{{params.evil}}'", "'x{{params.s}}'");
}

static void test_literals(void **state)
{
	assert_renders(*state, "'{{{{params.s}}'", "'{{params.s}}'");
	assert_renders(*state, "'a {{{{ b {{params.n}}'", "'a {{ b 12'");
	assert_renders(*state, "{'a':[1,true,null,'{x}',{}],'b':'}}'}",
		       "{'a':[1,true,null,'{x}',{}],'b':'}}'}");
}

static void test_urls(void **state)
{
	assert_renders_at(
		*state, TOOL_TEMPLATE_URL,
		"'https://x/{{params.s}}?a={{params.n}}&b={{params.o}}'",
		"'https://x/a%20b%2F%C3%A9?a=12&b=%7B%22a%22%3A%7B%22b"
		"%22%3A%22deep%22%7D%2C%22x%22%3A1.5%7D'");
	assert_renders_at(*state, TOOL_TEMPLATE_URL, "'{{params.s}}'",
			  "'a b/\xc3\xa9'");
	assert_renders_at(*state, TOOL_TEMPLATE_URL,
			  "'https://x/{{credentials.token}}'",
			  "'https://x/s3cr3t%2F%2B'");
}

static void test_headers(void **state)
{
	assert_renders_at(*state, TOOL_TEMPLATE_HEADER, "'k {{params.t}}'",
			  "'k tab\\there'");
	assert_says(*state, TOOL_TEMPLATE_HEADER, "'{{params.line}}'",
		    "/line: {{params.line}} must not have line breaks");
	assert_says(*state, TOOL_TEMPLATE_HEADER, "{'a':'x {{params.line}}'}",
		    "/line: {{params.line}} must not have line breaks");
}

static void test_masks(void **state)
{
	struct fixture *f = *state;

	f->values.masked = true;
	assert_renders(f, "'{{credentials.token}}'", "'***'");
	assert_renders(f, "'Bearer {{credentials.token}}'", "'Bearer ***'");
	assert_renders_at(f, TOOL_TEMPLATE_URL,
			  "'https://x/{{credentials.token}}/{{params.n}}'",
			  "'https://x/***/12'");
	assert_renders(f, "{'a':'{{credentials.spare}}'}", "{}");
}

static void test_too_much(void **state)
{
	struct fixture *f = *state;
	struct buf source = { 0 };
	size_t n = TOOL_TEMPLATE_RENDERED_MAX_BYTES / 60;
	char *big = malloc(n + 1);

	assert_non_null(big);
	memset(big, 'x', n);
	big[n] = '\0';
	json_object_set_new(f->params, "s", json_string(big));
	assert_int_equal(buf_append_str(&source, "'"), 0);
	for (int i = 0; i < 61; i++)
		assert_int_equal(buf_append_str(&source, "{{params.s}}"), 0);
	assert_int_equal(buf_append_str(&source, "'"), 0);
	assert_says(f, TOOL_TEMPLATE_VALUE, buf_cstr(&source),
		    "/s: {{params.s}} makes the request too big");
	buf_clear(&source);
	assert_int_equal(buf_append_str(&source, "[1"), 0);
	for (int i = 0; i < 61; i++)
		assert_int_equal(buf_append_str(&source, ",'{{params.s}}'"), 0);
	assert_int_equal(buf_append_str(&source, "]"), 0);
	assert_says(f, TOOL_TEMPLATE_VALUE, buf_cstr(&source),
		    "makes the request too big");
	buf_deinit(&source);
	free(big);
}

static const struct {
	const char *source, *says;
} refused_cases[] = {
	{ "'{{params.none}}'", "/t: {{params.none}} is not a parameter" },
	{ "'{{params.s.x}}'", "is not a parameter that the action has" },
	{ "{'a':['{{param.s}}']}", "/t/a/0: {{param.s}} is not known" },
	{ "'{{credentials.nope}}'", "is not a credential of the tool" },
	{ "'{{credentials}}'", "is not a credential" },
	{ "'{{credentials.token.x}}'", "is not a credential" },
	{ "'{{credentials.lost}}'", "is named by a parameter" },
	{ "'{{context.user}}'", "a context has job, execution" },
	{ "'{{context}}'", "a context has" },
	{ "'{{idempotency_key.x}}'", "has no members" },
	{ "'{{response}}'", "a response has status" },
	{ "'{{response.status.x}}'", "a response has status" },
	{ "'{{response.headers.a.b}}'", "a response has status" },
	{ "'{{}}'", "is not a reference" },
	{ "'{{params..s}}'", "is not a reference" },
	{ "'{{params.}}'", "is not a reference" },
	{ "'{{params.s | upper}}'", "is not a reference" },
	{ "'{{params.s'", "opens a reference that no }} closes" },
	{ "'a{{params.no}} {{params.nono}}'",
	  "{{params.no}} is not a parameter that the action has; /t: "
	  "{{params.nono}}" },
	{ "{'{{params.s}}':1}", "a name cannot have a reference" },
	{ "'{{a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q}}'", "is not a reference" },
};

static void test_refuses(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_cases); i++)
		assert_says(*state, TOOL_TEMPLATE_VALUE,
			    refused_cases[i].source, refused_cases[i].says);
}

static void test_response_in_results_only(void **state)
{
	struct fixture *f = *state;

	f->scope.response = false;
	assert_says(f, TOOL_TEMPLATE_VALUE, "'{{response.body}}'",
		    "is to be had in a result only");
}

static void test_limits(void **state)
{
	struct buf s = { 0 };

	assert_int_equal(buf_append_str(&s, "'"), 0);
	for (int i = 0; i <= TOOL_TEMPLATE_REFERENCES_MAX; i++)
		assert_int_equal(buf_append_str(&s, "{{params.n}}"), 0);
	assert_int_equal(buf_append_str(&s, "'"), 0);
	assert_says(*state, TOOL_TEMPLATE_VALUE, buf_cstr(&s),
		    "more than 64 references");
	buf_clear(&s);
	for (int i = 0; i < TOOL_TEMPLATE_DEPTH_MAX; i++)
		assert_int_equal(buf_append_str(&s, "["), 0);
	assert_int_equal(buf_append_str(&s, "1"), 0);
	for (int i = 0; i < TOOL_TEMPLATE_DEPTH_MAX; i++)
		assert_int_equal(buf_append_str(&s, "]"), 0);
	assert_says(*state, TOOL_TEMPLATE_VALUE, buf_cstr(&s),
		    "nested more than 32 deep");
	buf_deinit(&s);
}

static void test_constants(void **state)
{
	struct fixture *f = *state;
	struct tool_violations v = { 0 };
	struct tool_template *t = NULL;
	struct tool_path path;
	json_t *s = js("{'a':[1]}");

	tool_path_init(&path, "");
	assert_int_equal(tool_template_compile(s, TOOL_TEMPLATE_VALUE,
					       &f->scope, &path, &v, &t),
			 0);
	assert_true(json_equal(tool_template_constant(t), s));
	assert_false(tool_template_source(t, &path));
	tool_template_free(t);
	json_decref(s);
}

static void test_numbers(void **state)
{
	json_t *big = json_integer(9007199254740993);
	json_t *near = json_real(9007199254740992.0);

	(void)state;
	assert_int_equal(tool_json_compare_numbers(big, near), 1);
	assert_int_equal(tool_json_compare_numbers(near, big), -1);
	assert_false(tool_json_equal(big, near));
	json_real_set(near, 1e300);
	assert_int_equal(tool_json_compare_numbers(big, near), -1);
	json_real_set(near, -1e300);
	assert_int_equal(tool_json_compare_numbers(big, near), 1);
	json_decref(big);
	json_decref(near);
}

#define with_fixture(test) \
	cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_whole_reference_is_the_value),
		with_fixture(test_inserts_text),
		with_fixture(test_inserts_json),
		with_fixture(test_absent_is_left_out),
		with_fixture(test_inserted_is_not_looked_at),
		with_fixture(test_literals),
		with_fixture(test_urls),
		with_fixture(test_headers),
		with_fixture(test_masks),
		with_fixture(test_too_much),
		with_fixture(test_refuses),
		with_fixture(test_response_in_results_only),
		with_fixture(test_limits),
		with_fixture(test_constants),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
