#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/capabilities.h"
#include "backend/capability.h"
#include "backend/capability_job.h"
#include "backend/capability_undo.h"
#include "backend/job_spec.h"
#include "backend/store.h"
#include "backend/tool_schema.h"
#include "backend/tool_violations.h"
#include "common/json.h"
#include "tests/unit/js.h"

static struct capabilities *all(void)
{
	struct capabilities *c = NULL;
	char err[512];

	if (capabilities_new(&c, err, sizeof(err)))
		fail_msg("%s", err);
	return c;
}

/* --- the files ------------------------------------------------------------ */

static void test_builtin(void **state)
{
	static const char *const names[] = { "file.read", "file.write",
					     "git.exec", "process.kill",
					     "shell.exec" };
	struct capabilities *c = all();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct capability *one = capabilities_at(c, i);
		_cleanup_json_ json_t *text = NULL;

		assert_non_null(one);
		assert_string_equal(one->name, names[i]);
		assert_ptr_equal(capabilities_find(c, names[i]), one);
		assert_true(one->script.len > 0);
		text = capability_describe(one, true);
		assert_true(json_is_object(json_object_get(text, "params")));
		assert_false(json_is_true(
			json_object_get(json_object_get(text, "params"),
					"additionalProperties")));
	}
	assert_null(capabilities_at(c, ARRAY_SIZE(names)));
	assert_null(capabilities_find(c, "file.steal"));
	capabilities_free(c);
}

static const char good_file[] =
	"name: a.b\nsummary: Does it.\nscript: [one.py, two.py]\n"
	"params: {required: [path], properties: {path: {type: string}}}\n"
	"paths: [path]\npermissions: {read: ['{{params.path}}']}\n"
	"shares: listed\ntimeout_ms: 10\ntimeout_max_ms: 20\n";

/* The violations, or NULL. free(). */
static char *load(const char *text, struct capability **out)
{
	const struct capability_file files[] = {
		{ "one.py", "1", 1 },
		{ "two.py", "2", 1 },
		{ 0 },
	};
	const struct capability_file f = { "a.b.yaml", text, strlen(text) };
	struct tool_violations v = { 0 };
	struct buf why = { 0 };
	int r = capability_load(&f, files, &v, out);
	char *said = NULL;

	if (r) {
		assert_int_equal(r, TOOL_E_INVALID);
		assert_int_equal(tool_violations_text(&v, &why), 0);
		said = strdup(buf_cstr(&why));
	}
	buf_deinit(&why);
	tool_violations_deinit(&v);
	return said;
}

static void test_file(void **state)
{
	struct capability *c = NULL;

	assert_null(load(good_file, &c));
	assert_string_equal(c->name, "a.b");
	assert_string_equal(buf_cstr(&c->script), "1\n\n2\n\n");
	assert_int_equal(c->timeout_ms, 10);
	capability_free(c);
}

static void test_file_mistakes(void **state)
{
	static const struct {
		const char *old, *new, *said;
	} cases[] = {
		{ "name: a.b", "name: a.c", "name must be the file's, a.b" },
		{ "one.py", "three.py", "script 0 is not here" },
		{ "[one.py, two.py]", "[]", "script must list" },
		{ "listed", "some", "shares must be" },
		{ "paths: [path]", "paths: [pat]", "paths: 0 names no param" },
		{ "{{params.path}}", "{{params.pat}}", "/permissions" },
		{ "timeout_ms: 10", "timeout_ms: 30", "/timeout_ms" },
		{ "summary: Does it.", "sumary: x", "/sumary" },
		{ "type: string", "type: text", "/params/properties/path" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *at = strstr(good_file, cases[i].old);
		_cleanup_free_ char *text = NULL, *said = NULL;
		struct capability *c = NULL;

		assert_non_null(at);
		assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good_file),
				     good_file, cases[i].new,
				     at + strlen(cases[i].old)) > 0);
		said = load(text, &c);
		if (!said || !strstr(said, cases[i].said))
			fail_msg("%s: %s", cases[i].new, said);
		assert_null(c);
	}
}

/* --- arguments ------------------------------------------------------------ */

static void expect_permitted(const char *name, const char *given,
			     const char *permissions)
{
	_cleanup_json_ json_t *args = NULL, *got = NULL, *in = js(given);
	_cleanup_json_ json_t *expected = js(permissions);
	struct tool_violations v = { 0 };
	struct capabilities *c = all();

	assert_int_equal(capability_check(capabilities_find(c, name), in, &v,
					  &args, &got),
			 0);
	if (!json_equal(got, expected))
		fail_msg("%s: %s", given, json_dumps(got, 0));
	capabilities_free(c);
}

static void test_permissions(void **state)
{
	expect_permitted("file.read", "{'path':'/srv/../srv/./a'}",
			 "{'read':['/srv/a']}");
	expect_permitted("file.write", "{'path':'/srv/d/a','content':''}",
			 "{'read':['/srv/d'],'write':['/srv/d']}");
	expect_permitted("shell.exec", "{'command':'x'}",
			 "{'read':[],'net':false,'run':true}");
	expect_permitted("shell.exec", "{'argv':['x'],'cwd':'/srv','net':true}",
			 "{'read':['/srv'],'net':true,'run':true}");
	expect_permitted(
		"git.exec", "{'repo':'/r/','args':['log']}",
		"{'read':['/r'],'write':['/r'],'net':false,'run':true}");
	expect_permitted("process.kill", "{'pid':7}", "{}");
}

static void test_args(void **state)
{
	static const struct {
		const char *name, *given, *said;
	} cases[] = {
		{ "file.read", "{}", "path" },
		{ "file.read", "{'path':'a'}", "/path: must be an absolute" },
		{ "file.read", "{'path':7}", "/path" },
		{ "file.read", "{'path':'/a','limit':0}", "/limit" },
		{ "file.read", "{'path':'/a','x':0}", "/x" },
		{ "file.write", "{'path':'/a'}", "" },
		{ "file.write", "{'path':'/a','content':'','remove':true}",
		  "" },
		{ "file.write", "{'path':'/a','content':'','mode':'4755'}",
		  "/mode" },
		{ "shell.exec", "{}", "" },
		{ "shell.exec", "{'command':'x','env':{'A=':'b'}}", "/env" },
		{ "git.exec", "{'repo':'/a','args':[]}", "/args" },
		{ "process.kill", "{'pid':1}", "/pid" },
		{ "process.kill", "{'pid':9,'signal':'SEGV'}", "/signal" },
	};
	struct capabilities *c = all();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *args = NULL, *got = NULL;
		_cleanup_json_ json_t *in = js(cases[i].given);
		struct tool_violations v = { 0 };
		struct buf why = { 0 };

		assert_int_equal(
			capability_check(capabilities_find(c, cases[i].name),
					 in, &v, &args, &got),
			TOOL_E_INVALID);
		assert_int_equal(tool_violations_text(&v, &why), 0);
		if (!strstr(buf_cstr(&why), cases[i].said))
			fail_msg("%s: %s", cases[i].given, buf_cstr(&why));
		buf_deinit(&why);
		tool_violations_deinit(&v);
	}
	capabilities_free(c);
}

/* --- the job -------------------------------------------------------------- */

static int body(const char *name, const char *ask_text, json_t **out,
		struct buf *why)
{
	_cleanup_json_ json_t *ask = js(ask_text);
	struct tool_violations v = { 0 };
	struct capabilities *c = all();
	struct buf text = { 0 };
	int r = capability_job_body(capabilities_find(c, name), ask, &v, why,
				    &text);

	if (!r)
		*out = json_loadb((char *)text.data, text.len, 0, NULL);
	buf_deinit(&text);
	tool_violations_deinit(&v);
	capabilities_free(c);
	return r;
}

static void test_job_body(void **state)
{
	_cleanup_json_ json_t *job = NULL;
	struct buf why = { 0 };
	const json_t *permissions;

	assert_int_equal(body("file.read",
			      "{'args':{'path':'/srv/a'},'dry_run':true,"
			      "'host':'web','timeout_ms':5}",
			      &job, &why),
			 0);
	assert_string_equal(json_get_str(job, "name", ""), "file.read");
	assert_string_equal(json_get_str(job, "host", ""), "web");
	assert_true(json_get_bool(job, "dry_run", false));
	assert_int_equal(json_get_int(job, "timeout_ms", 0), 5);
	assert_int_equal(json_array_size(json_object_get(job, "tools")), 0);
	permissions = json_object_get(json_object_get(job, "runtime"),
				      "permissions");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(permissions, "read"), 0)),
			    "/srv/a");
	assert_int_equal(
		json_get_int(json_object_get(job, "input"), "offset", -1), 0);
}

static void test_job_mistakes(void **state)
{
	static const char *const bad[][2] = {
		{ "{'args':{'path':'/a'},'env':{'PATH':'/x'}}",
		  "only CRONIUM_CA_FILE" },
		{ "{'args':{'path':'/a'},'script':{}}",
		  "script: is not a known" },
		{ "{'args':{'path':'/a'},'capability':'x'}", "capability" },
		{ "{'args':7}", "args: must be an object" },
		{ "{'args':{'path':'/a'},'timeout_ms':0}", "timeout_ms" },
		{ "{'args':{'path':'/a'},'timeout_ms':600001}", "600000" },
	};
	json_t *job = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf why = { 0 };

		assert_int_equal(body("file.read", bad[i][0], &job, &why),
				 CAPABILITY_JOB_E_SPEC);
		if (!strstr(buf_cstr(&why), bad[i][1]))
			fail_msg("%s: %s", bad[i][0], buf_cstr(&why));
		buf_deinit(&why);
	}
}

/* Nobody gets the shares by asking for them. */
static void test_only_the_server_marks(void **state)
{
	static const char *const members[] = { "'capability':'file.read'",
					       "'shares':'all'",
					       "'processes':true" };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_json_ json_t *in = NULL;
		struct buf why = { 0 };
		json_t *spec = NULL;

		assert_true(asprintf(&text, "{'runtime':'python',%s}",
				     members[i]) > 0);
		in = js(text);
		assert_int_equal(job_spec_parse(in, &spec, &why),
				 JOB_SPEC_E_INVALID);
		assert_non_null(strstr(buf_cstr(&why), "set by the server"));
		buf_deinit(&why);
	}
}

static void test_marked(void **state)
{
	_cleanup_json_ json_t *in = js("{'runtime':'python'}");
	struct capabilities *c = all();
	struct buf why = { 0 };
	json_t *spec = NULL;

	assert_int_equal(job_spec_parse(in, &spec, &why), 0);
	assert_true(json_is_null(json_object_get(spec, "capability")));
	assert_string_equal(json_get_str(spec, "shares", ""), "none");
	assert_int_equal(capability_job_mark(capabilities_find(c, "shell.exec"),
					     spec),
			 0);
	assert_string_equal(json_get_str(spec, "capability", ""), "shell.exec");
	assert_string_equal(json_get_str(spec, "shares", ""), "all");
	assert_false(json_get_bool(spec, "processes", true));
	json_decref(spec);
	capabilities_free(c);
}

/* --- undo ----------------------------------------------------------------- */

static const char was[] =
	"'path':'/s/a','sha256':'ab','undo':{'existed':true,'content':'x',"
	"'encoding':'utf-8','mode':'0640','sha256':'cd'}";

static int undo(const char *name, enum job_state job_state, const char *output,
		bool force, json_t **ask, char *err, size_t err_size)
{
	_cleanup_json_ json_t *spec = js("{'host':null,'executor':'auto'}");
	_cleanup_json_ json_t *o = output ? js(output) : NULL;
	const struct store_job job = { .id = "job_1",
				       .agent = "here",
				       .state = job_state };
	struct capabilities *c = all();
	int r = capability_undo_ask(name ? capabilities_find(c, name) : NULL,
				    &job, spec, o, force, ask, err, err_size);

	capabilities_free(c);
	return r;
}

static void expect_undo(const char *output, bool force, const char *args)
{
	_cleanup_json_ json_t *ask = NULL, *expected = js(args);
	char err[256];

	assert_int_equal(undo("file.write", JOB_FAILED, output, force, &ask,
			      err, sizeof(err)),
			 0);
	assert_string_equal(json_get_str(ask, "agent", ""), "here");
	if (!json_equal(json_object_get(ask, "args"), expected))
		fail_msg("%s: %s", output, json_dumps(ask, 0));
}

static void test_undo(void **state)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text, "{%s}", was) > 0);
	expect_undo(text, false,
		    "{'path':'/s/a','content':'x','encoding':'utf-8',"
		    "'mode':'0640','overwrite':true,'expected_sha256':'ab'}");
	expect_undo(text, true,
		    "{'path':'/s/a','content':'x','encoding':'utf-8',"
		    "'mode':'0640','overwrite':true}");
	expect_undo("{'path':'/s/a','sha256':'ab','undo':{'existed':false}}",
		    false,
		    "{'path':'/s/a','remove':true,'expected_sha256':'ab'}");
	/* It was removed: nobody may have made another since. */
	expect_undo("{'path':'/s/a','sha256':null,'undo':{'existed':true,"
		    "'content':'x','encoding':'utf-8','mode':'0640'}}",
		    false,
		    "{'path':'/s/a','content':'x','encoding':'utf-8',"
		    "'mode':'0640','overwrite':false}");
}

static void test_undo_refused(void **state)
{
	static const struct {
		const char *name, *output, *said;
		enum job_state state;
	} cases[] = {
		{ "file.read", "{}", "capability", JOB_SUCCEEDED },
		{ NULL, "{}", "capability", JOB_SUCCEEDED },
		{ "file.write", NULL, "no output", JOB_FAILED },
		{ "file.write", "{'dry_run':true}", "dry run", JOB_SUCCEEDED },
		{ "file.write", "{}", "undo", JOB_SUCCEEDED },
		{ "file.write", "{}", "not ended", JOB_RUNNING },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *ask = NULL;
		char err[256];

		assert_int_equal(undo(cases[i].name, cases[i].state,
				      cases[i].output, false, &ask, err,
				      sizeof(err)),
				 CAPABILITY_UNDO_E_CANNOT);
		if (!strstr(err, cases[i].said))
			fail_msg("%s", err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_mistakes),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_job_body),
		cmocka_unit_test(test_job_mistakes),
		cmocka_unit_test(test_only_the_server_marks),
		cmocka_unit_test(test_marked),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_undo_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
