#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/tool_file.h"
#include "backend/tool_request.h"
#include "backend/tool_schema.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/buf.h"
#include "common/json.h"
#include "tests/unit/js.h"

static struct tool *load(const char *file, const char *text)
{
	struct tool_violations v = { 0 };
	struct buf why = { 0 };
	struct tool *t = NULL;

	if (tool_file_load(file, text, strlen(text), &v, &t)) {
		assert_int_equal(tool_violations_text(&v, &why), 0);
		fail_msg("%s: %s", file, buf_cstr(&why));
	}
	return t;
}

static struct tool *builtin(const char *file)
{
	for (const struct tool_builtin *b = tool_builtins; b->file; b++)
		if (!strcmp(b->file, file))
			return load(file, b->text);
	fail_msg("%s is not built in", file);
	return NULL;
}

/* --- rendering ----------------------------------------------------------- */

/* What the action would send, as dry_run shows it (or would, unmasked), or
 * the violations. free(). */
static char *show(struct tool *t, const char *action, const char *params_text,
		  const char *credentials_text, bool masked)
{
	const struct tool_action *a = tool_action_find(t, action);
	json_t *params = js(params_text), *filled = NULL, *shown = NULL;
	json_t *credentials = js(credentials_text), *context = js("{}");
	struct tool_template_values values = {
		.credentials = credentials,
		.context = context,
		.idempotency_key = "key-1",
		.masked = masked,
	};
	struct tool_violations v = { 0 };
	struct tool_rendered *rendered = NULL;
	struct buf text = { 0 };
	size_t len;
	int r;

	assert_non_null(a);
	r = tool_schema_check(a->params, params, &v, &filled);
	values.params = filled;
	if (r == 0)
		r = tool_request_render(a, &values, &v, &rendered);
	if (r == 0) {
		assert_int_equal(tool_rendered_describe(rendered, &shown), 0);
		assert_int_equal(json_append(&text, shown), 0);
		if (rendered->idempotent)
			assert_int_equal(buf_append_str(&text, " again"), 0);
	} else {
		assert_true(v.found > 0);
		if (r == TOOL_REQUEST_E_CREDENTIALS)
			assert_int_equal(buf_append_str(&text, "CREDENTIALS "),
					 0);
		assert_int_equal(tool_violations_text(&v, &text), 0);
	}
	tool_rendered_free(rendered);
	tool_violations_deinit(&v);
	json_decref(params);
	json_decref(filled);
	json_decref(shown);
	json_decref(credentials);
	json_decref(context);
	return buf_take(&text, &len);
}

static void assert_shows(const char *file, const char *action,
			 const char *params, const char *credentials,
			 const char *want)
{
	struct tool *t = builtin(file);
	char *got = show(t, action, params, credentials, false);
	char *quoted = strdup(want);

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	assert_string_equal(got, quoted);
	free(quoted);
	free(got);
	tool_free(t);
}

static void assert_masks(const char *file, const char *action,
			 const char *params, const char *credentials,
			 const char *says)
{
	struct tool *t = builtin(file);
	char *got = show(t, action, params, credentials, true);
	char *quoted = strdup(says);

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	if (!strstr(got, quoted) || strstr(got, "s3cr3t"))
		fail_msg("\"%s\" is not in \"%s\"", quoted, got);
	free(quoted);
	free(got);
	tool_free(t);
}

static void assert_refuses(const char *file, const char *action,
			   const char *params, const char *credentials,
			   const char *says)
{
	struct tool *t = builtin(file);
	char *got = show(t, action, params, credentials, false);

	if (!strstr(got, says) || strstr(got, "s3cr3t"))
		fail_msg("\"%s\" is not in \"%s\"", says, got);
	free(got);
	tool_free(t);
}

/* --- the built-in tools -------------------------------------------------- */

static void test_builtins_load(void **state)
{
	size_t n = 0;

	(void)state;
	for (const struct tool_builtin *b = tool_builtins; b->file; b++, n++) {
		struct tool *t = builtin(b->file);

		assert_int_equal(strlen(b->text), b->len);
		assert_non_null(t->summary);
		assert_true(t->n_actions > 0);
		for (size_t i = 0; i < t->n_actions; i++)
			assert_non_null(t->actions[i].summary);
		tool_free(t);
	}
	assert_int_equal(n, 5);
}

static void test_http(void **state)
{
	(void)state;
	assert_shows("http.yaml", "request", "{'url':'https://a.org/x?y=1#z'}",
		     "{}",
		     "{'method':'GET','url':'https://a.org/x?y=1','headers':{},"
		     "'body':null} again");
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','method':'PUT','json':[1,null],"
		     "'query':{'q':'a&b','l':[1,true],'n':null},"
		     "'headers':{'X-A':'b'}}",
		     "{}",
		     "{'method':'PUT','url':'http://a.org?q=a%26b&l=1&l=true',"
		     "'headers':{'X-A':'b','Content-Type':'application/json'},"
		     "'body':[1,null]} again");
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','form':{'a b':'c=d','e':2}}", "{}",
		     "{'method':'POST','url':'http://a.org','headers':{"
		     "'Content-Type':'application/x-www-form-urlencoded'},"
		     "'body':'a%20b=c%3Dd&e=2'}");
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','body':'x',"
		     "'headers':{'content-type':'text/csv'}}",
		     "{}",
		     "{'method':'POST','url':'http://a.org','headers':{"
		     "'content-type':'text/csv'},'body':'x'}");
}

static void test_http_auth(void **state)
{
	(void)state;
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','auth':{'bearer':{'secret':'T'}}}",
		     "{'bearer':'tok'}",
		     "{'method':'GET','url':'http://a.org','headers':{"
		     "'Authorization':'Bearer tok'},'body':null} again");
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','auth':{'basic':{'username':"
		     "'Aladdin','password':{'secret':'P'}}}}",
		     "{'password':'open sesame'}",
		     "{'method':'GET','url':'http://a.org','headers':{"
		     "'Authorization':'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='},"
		     "'body':null} again");
	assert_shows("http.yaml", "request",
		     "{'url':'http://a.org','auth':{'header':{'name':'X-Key',"
		     "'value':{'secret':'P'}}}}",
		     "{'header':'k'}",
		     "{'method':'GET','url':'http://a.org','headers':{"
		     "'X-Key':'k'},'body':null} again");
	assert_masks("http.yaml", "request",
		     "{'url':'http://a.org','auth':{'basic':{'username':'u',"
		     "'password':{'secret':'P'}}}}",
		     "{'password':'s3cr3t'}", "'Authorization':'Basic ***'");
	assert_masks("http.yaml", "request",
		     "{'url':'http://a.org','auth':{'bearer':{'secret':'P'}}}",
		     "{'bearer':'s3cr3t'}", "'Authorization':'Bearer ***'");
}

static void test_http_names_secrets(void **state)
{
	struct tool *t = builtin("http.yaml");
	json_t *p = js("{'auth':{'basic':{'password':{'secret':'MY_KEY'}}}}");
	const char *named[3];

	(void)state;
	assert_int_equal(t->n_credentials, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_null(t->credentials[i].secret);
		named[i] = tool_credential_named(&t->credentials[i], p);
	}
	assert_string_equal(t->credentials[1].name, "password");
	assert_null(named[0]);
	assert_string_equal(named[1], "MY_KEY");
	assert_null(named[2]);
	json_decref(p);
	tool_free(t);
}

static const struct {
	const char *params, *says;
} http_refused[] = {
	{ "{}", "/url: is required" },
	{ "{'url':'ftp://a.org/'}", "/url: must match the pattern" },
	{ "{'url':'http://u:p@a.org/'}", "/url: the URL must not have a user" },
	{ "{'url':'http:///x'}", "/url: the URL must have a host" },
	{ "{'url':'http://a%2e.org/'}", "must have a host of letters" },
	{ "{'url':'http://a.org','headers':{'Host':'b'}}",
	  "the header \"Host\" is a header that cannot be set" },
	{ "{'url':'http://a.org','headers':{'Transfer-Encoding':'b'}}",
	  "cannot be set" },
	{ "{'url':'http://a.org','headers':{'A b':'b'}}", "good name" },
	{ "{'url':'http://a.org','headers':{'A':'b\\r\\nC: d'}}",
	  "the header \"A\" must not have line breaks" },
	{ "{'url':'http://a.org','json':1,'body':'x'}",
	  "of json, form and text only one" },
	{ "{'url':'http://a.org','method':'CONNECT'}", "/method: must be one" },
	{ "{'url':'http://a.org','auth':{}}", "/auth: must have at least 1" },
	{ "{'url':'http://a.org','auth':{'bearer':{'secret':'A'},'header':"
	  "{'name':'A','value':{'secret':'B'}}}}",
	  "/auth: must have at most 1" },
	{ "{'url':'http://a.org','auth':{'bearer':{'secret':'A'}},"
	  "'headers':{'authorization':'x'}}",
	  "an Authorization header and auth" },
	{ "{'url':'http://a.org','heders':{}}", "/heders: is not known here" },
	{ "{'url':'http://a.org','query':{'a':{}}}", "/query/a: must be" },
};

static void test_http_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(http_refused); i++)
		assert_refuses("http.yaml", "request", http_refused[i].params,
			       "{'bearer':'s3cr3t'}", http_refused[i].says);
}

static void test_slack(void **state)
{
	(void)state;
	assert_shows("slack.yaml", "send-message",
		     "{'text':'hi','channel':'C1'}",
		     "{'token':'xoxb-1','webhook':'https://h.org/x'}",
		     "{'method':'POST','url':"
		     "'https://slack.com/api/chat.postMessage','headers':{"
		     "'Content-Type':'application/json; charset=utf-8',"
		     "'Authorization':'Bearer xoxb-1'},'body':{'channel':'C1',"
		     "'text':'hi','client_msg_id':'key-1'}}");
	assert_shows("slack.yaml", "send-message", "{'text':'hi'}",
		     "{'token':'xoxb-1','webhook':'https://h.org/x'}",
		     "{'method':'POST','url':'https://h.org/x','headers':{"
		     "'Content-Type':'application/json'},'body':{"
		     "'text':'hi'}}");
	assert_refuses("slack.yaml", "send-message", "{'text':'hi'}", "{}",
		       "CREDENTIALS needs credentials.token and "
		       "params.channel, or credentials.webhook");
	assert_refuses("slack.yaml", "send-message", "{'text':'hi'}",
		       "{'token':'s3cr3t'}",
		       "/channel: is required with the credentials");
	assert_refuses("slack.yaml", "send-message", "{'text':'hi'}",
		       "{'webhook':'s3cr3t'}", "the URL must be a URL that");
	assert_masks("slack.yaml", "send-message", "{'text':'hi'}",
		     "{'webhook':'https://h.org/s3cr3t'}", "'url':'***'");
}

static void test_slack_says_what_failed(void **state)
{
	struct tool *t = builtin("slack.yaml");
	const struct tool_action *a = tool_action_find(t, "send-message");
	static const struct {
		const char *response;
		bool ok;
	} cases[] = {
		{ "{'status':200,'body':'ok'}", true },
		{ "{'status':200,'body':{'ok':true,'ts':'1.2'}}", true },
		{ "{'status':200,'body':{'ok':false,'error':'x'}}", false },
		{ "{'status':200,'body':'no_text'}", false },
		{ "{'status':200}", false },
		{ "{'status':500,'body':'ok'}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *response = js(cases[i].response);
		const char *reason;

		assert_int_equal(tool_action_succeeded(a, response, &reason),
				 cases[i].ok);
		assert_true(!reason == cases[i].ok);
		json_decref(response);
	}
	tool_free(t);
}

static void test_discord(void **state)
{
	(void)state;
	assert_shows("discord.yaml", "send-message", "{'content':'hi'}",
		     "{'webhook':'https://d.org/x'}",
		     "{'method':'POST','url':'https://d.org/x?wait=true',"
		     "'headers':{'Content-Type':'application/json'},'body':{"
		     "'content':'hi','allowed_mentions':{'parse':[]}}}");
	assert_refuses("discord.yaml", "send-message", "{}",
		       "{'webhook':'https://d.org/s3cr3t'}",
		       "/content: is required; or /embeds: is required");
}

static void test_webhook(void **state)
{
	(void)state;
	assert_shows(
		"webhook.yaml", "send",
		"{'url':'https://w.org/','payload':{'a':0.1}}",
		"{'secret':'Jefe'}",
		"{'method':'POST','url':'https://w.org/','headers':{"
		"'Idempotency-Key':'key-1',"
		"'Content-Type':'application/json',"
		"'X-Cronium-Signature':'sha256=c9c590dc3e54530e0d9e14aa66b0fe27df24cb8e3c994ec9680f27773866f60e'},"
		"'body':{'a':0.10000000000000001}} again");
	assert_masks("webhook.yaml", "send",
		     "{'url':'https://w.org/','payload':1}",
		     "{'secret':'s3cr3t'}",
		     "'X-Cronium-Signature':'sha256=***'");
	assert_shows("webhook.yaml", "send",
		     "{'url':'https://w.org/','payload':null,"
		     "'headers':{'idempotency-key':'mine'}}",
		     "{}",
		     "{'method':'POST','url':'https://w.org/','headers':{"
		     "'idempotency-key':'key-1',"
		     "'Content-Type':'application/json'},'body':null} again");
}

static void test_email(void **state)
{
	static const char credentials[] =
		"{'url':'smtps://m.org:465','username':'u','password':'s3cr3t',"
		"'from':'Bot <bot@m.org>'}";

	(void)state;
	assert_shows("email.yaml", "send",
		     "{'to':['Ann <ann@x.org>','b@x.org'],'cc':'c@x.org',"
		     "'subject':'Hi','text':'line\\nline'}",
		     "{'url':'smtp://m.org','from':'bot@m.org'}",
		     "{'server':'smtp://m.org','username':null,'password':null,"
		     "'from':'bot@m.org','to':['Ann <ann@x.org>','b@x.org'],"
		     "'cc':['c@x.org'],'bcc':[],'reply_to':null,'subject':'Hi',"
		     "'text':'line\\nline','html':null}");
	assert_masks("email.yaml", "send",
		     "{'to':'a@x.org','subject':'Hi','html':'<p>'}",
		     credentials,
		     "'server':'***','username':'***','password':'***',"
		     "'from':'***','to':['a@x.org']");
	assert_refuses("email.yaml", "send",
		       "{'to':'a','subject':'Hi','text':'x'}", credentials,
		       "/to: to must be an email address");
	assert_refuses("email.yaml", "send",
		       "{'to':'a@x.org\\r\\nBcc: b@x.org','subject':'Hi',"
		       "'text':'x'}",
		       credentials, "/to: {{params.to}} must not have line");
	assert_refuses("email.yaml", "send",
		       "{'to':['a@x.org\\nBcc: b@x.org'],'subject':'Hi',"
		       "'text':'x'}",
		       credentials, "/to: to must be an email address");
	assert_refuses("email.yaml", "send",
		       "{'to':'a@x.org','subject':'Hi\\nX: y','text':'x'}",
		       credentials, "/subject: {{params.subject}} must not");
	assert_refuses("email.yaml", "send", "{'to':'a@x.org','subject':''}",
		       credentials, "/text: is required; or /html:");
	assert_refuses("email.yaml", "send", "{'to':[],'subject':'','text':''}",
		       credentials, "/to: must have at least 1 items");
}

static void test_addresses(void **state)
{
	static const char *const wrong[] = {
		"",
		"a",
		"<a@b.org",
		"a@b.org>",
		"A <a@b.org> b",
		"<>",
		"a@b@c",
		"A <<a@b.org>",
		"A <a@b.org>>",
		"a b@c.org",
		"a@b.org\n",
	};
	const char *start;
	size_t len;

	(void)state;
	assert_true(tool_email_address("Ann B <a.b@c.org>", &start, &len));
	assert_int_equal(len, 9);
	assert_memory_equal(start, "a.b@c.org", 9);
	assert_true(tool_email_address("a@c", &start, &len));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (tool_email_address(wrong[i], &start, &len))
			fail_msg("accepted: %s", wrong[i]);
}

/* --- files --------------------------------------------------------------- */

static const char small[] = "name: t\n"
			    "credentials:\n"
			    "  key: {secret: T_KEY}\n"
			    "actions:\n"
			    "  get:\n"
			    "    params:\n"
			    "      properties: {id: {type: string}}\n"
			    "      required: [id]\n"
			    "    request:\n"
			    "      url: https://t.org/items/{{params.id}}\n"
			    "      auth: {bearer: '{{credentials.key}}'}\n";

static void test_defaults(void **state)
{
	struct tool *t = load("dir/t.yml", small);
	const struct tool_action *a = tool_action_find(t, "get");

	(void)state;
	assert_string_equal(t->name, "t");
	assert_null(t->summary);
	assert_string_equal(t->credentials[0].secret, "T_KEY");
	assert_false(t->credentials[0].optional);
	assert_null(tool_action_find(t, "put"));
	assert_int_equal(a->timeout_ms, TOOL_TIMEOUT_DEFAULT_MS);
	assert_int_equal(a->retry.initial_ms, 500);
	assert_int_equal(a->retry.max_ms, 10000);
	assert_int_equal(a->retry.max_elapsed_ms, 60000);
	assert_int_equal(a->follow_redirects, 0);
	assert_int_equal(a->idempotent, TOOL_IDEMPOTENT_NO);
	assert_true(tool_statuses_has(&a->success, 200));
	assert_true(tool_statuses_has(&a->success, 299));
	assert_false(tool_statuses_has(&a->success, 199));
	assert_false(tool_statuses_has(&a->success, 300));
	assert_true(tool_retry_on(&a->retry, false, 429));
	assert_true(tool_retry_on(&a->retry, false, 503));
	assert_false(tool_retry_on(&a->retry, false, 500));
	assert_true(tool_retry_on(&a->retry, true, 500));
	assert_true(json_is_false(
		json_object_get(a->params_source, "additionalProperties")));
	tool_free(t);
}

static void test_all_members(void **state)
{
	struct tool *t = load(
		"t.json",
		"{\"name\":\"t\",\"summary\":\"s\",\"actions\":{\"a-1\":{"
		"\"request\":{\"url\":\"https://t.org\"},\"timeout_ms\":5,"
		"\"retry\":{\"initial_ms\":1,\"max_ms\":2,\"max_elapsed_ms\":0,"
		"\"on\":[500,\"520-530\"]},\"idempotent\":true,"
		"\"success\":[\"200-204\",404],\"follow_redirects\":3,"
		"\"result\":{\"s\":\"{{response.status}}\",\"n\":1}}}}");
	const struct tool_action *a = tool_action_find(t, "a-1");
	json_t *response = js("{'status':204,'headers':{},'body':null}");
	struct tool_template_values values = { .response = response };
	struct tool_violations v = { 0 };
	json_t *result = NULL, *want = js("{'s':204,'n':1}");

	(void)state;
	assert_int_equal(a->timeout_ms, 5);
	assert_int_equal(a->retry.max_elapsed_ms, 0);
	assert_true(tool_retry_on(&a->retry, false, 525));
	assert_false(tool_retry_on(&a->retry, true, 429));
	assert_true(tool_statuses_has(&a->success, 404));
	assert_false(tool_statuses_has(&a->success, 205));
	assert_int_equal(a->idempotent, TOOL_IDEMPOTENT_YES);
	assert_int_equal(a->follow_redirects, 3);
	assert_int_equal(tool_action_result(a, &values, &v, &result), 0);
	assert_true(json_equal(result, want));
	json_decref(result);
	json_decref(want);
	json_decref(response);
	tool_free(t);
}

static void assert_small_refuses(const char *id, const char *says)
{
	struct tool *t = load("t.yaml", small);
	char *got = show(t, "get", id, "{'key':'k'}", false);

	if (!strstr(got, says))
		fail_msg("\"%s\" is not in \"%s\"", says, got);
	free(got);
	tool_free(t);
}

static void test_paths_cannot_be_left(void **state)
{
	(void)state;
	assert_small_refuses("{'id':'..'}", "must not have . or ..");
	assert_small_refuses("{'id':'.'}", "must not have . or ..");
	assert_small_refuses("{'id':'../x'}", "/items/..%2Fx");
	assert_small_refuses("{'id':'a?b#c@d:e'}", "/items/a%3Fb%23c%40d%3Ae");
}

static const struct {
	const char *text; /* of t.yaml */
	const char *says;
} refused_cases[] = {
	{ "[1]", "must be an object, not an array" },
	{ "a: [", "line 2" },
	{ "name: x\nactions: {}", "/name: must be the file's" },
	{ "name: T\nactions: {}", "/name: must have 1 to 64 of a-z" },
	{ "actions: {}", "/name: is required; /actions: must have at least" },
	{ "name: t\nfoo: 1\nactions: {}", "/foo: is not known here; known are "
					  "name, summary" },
	{ "name: t\nactions: {A: {request: {url: 'https://a'}}}",
	  "/actions/A: an action's name" },
	{ "name: t\nactions: {a: 1}", "/actions/a: must be an object" },
	{ "name: t\nactions: {a: {}}", "/actions/a/request: is required" },
	{ "name: t\nactions: {a: {request: []}}", "must have 1 to 4 items" },
	{ "name: t\nactions: {a: {request: {}}}", "request/url: is required" },
	{ "name: t\nactions: {a: {request: {url: 'ftp://a'}}}",
	  "/actions/a/request/url: must begin with https://" },
	{ "name: t\nactions: {a: {request: {url: 'https://a/{{params.x}}'}}}",
	  "/actions/a/request/url: {{params.x}} is not a parameter" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', method: get}}}",
	  "request/method: must be one of GET" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', "
	  "headers: {Host: b, 'a b': c}}}}",
	  "headers/Host: is a header that cannot be set; "
	  "/actions/a/request/headers/a b: is not a good name" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', headers: 1}}}",
	  "headers: must be an object, a reference" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', "
	  "auth: {basic: {}}}}}",
	  "auth/basic: must have a username" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', "
	  "auth: {digest: {}}}}}",
	  "auth/digest: is not known here" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', "
	  "auth: {hmac_sha256: {secret: x}}}}}",
	  "must have a secret and a header" },
	{ "name: t\nactions: {a: {request: {url: 'https://a', "
	  "when: [context.job]}}}",
	  "when/0: must be credentials.NAME or params.NAME" },
	{ "name: t\nactions: {a: {request: {email: {server: 'smtp://a'}}}}",
	  "email/from: is required; /actions/a/request/email: must have to" },
	{ "name: t\nactions: {a: {request: {email: {server: 'smtp://a', "
	  "from: a@b, to: a@b, text: x}}, success: 200}}",
	  "/actions/a/success: is not for an email" },
	{ "name: t\nactions: {a: {request: {url: 'https://a'}, "
	  "params: {type: string}}}",
	  "/actions/a/params: must be of type object" },
	{ "name: t\nactions: {a: {request: {url: 'https://a'}, "
	  "params: {properties: {x: {typ: string}}}}}",
	  "/actions/a/params/properties/x/typ: is not a keyword" },
	{ "name: t\nactions: {a: {request: {url: 'https://a'}, "
	  "timeout_ms: 0, follow_redirects: 99, idempotent: maybe, "
	  "retry: {max_elapsed_ms: -1, on: ['1-2', 999]}, "
	  "success: x, result: '{{respons.body}}'}}",
	  "/actions/a/timeout_ms: must be 1 to 600000, not 0; "
	  "/actions/a/retry/max_elapsed_ms: must be 0 to 3600000, not -1; "
	  "/actions/a/retry/on: must be a status (200) or a range of them "
	  "(\"200-299\"), from 100 to 599; "
	  "/actions/a/retry/on: must be a status (200) or a range of them "
	  "(\"200-299\"), from 100 to 599; "
	  "/actions/a/idempotent: must be true, false or \"method\"; "
	  "/actions/a/success: must be a status (200) or a range of them "
	  "(\"200-299\"), from 100 to 599; "
	  "/actions/a/follow_redirects: must be 0 to 10, not 99; "
	  "/actions/a/result: {{respons.body}} is not known" },
	{ "name: t\ncredentials: {k: {}}\n"
	  "actions: {a: {request: {url: 'https://a'}}}",
	  "/credentials/k: must have either secret or from" },
	{ "name: t\ncredentials: {k: {secret: 'a b'}}\n"
	  "actions: {a: {request: {url: 'https://a'}}}",
	  "\"a b\" cannot be the key of a secret" },
	{ "name: t\ncredentials: {K: {secret: a}}\n"
	  "actions: {a: {request: {url: 'https://a'}}}",
	  "/credentials/K: a credential's name" },
	{ "name: t\ncredentials: {k: {from: context.job}}\n"
	  "actions: {a: {request: {url: 'https://a'}}}",
	  "/credentials/k/from: must be params.NAME" },
	{ "name: t\ncredentials: {k: {from: params.x}}\nactions: {a: "
	  "{request: {url: 'https://a', auth: {bearer: "
	  "'{{credentials.k}}'}}}}",
	  "is named by a parameter that the action does not have" },
};

static void test_refuses_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused_cases); i++) {
		const char *text = refused_cases[i].text;
		struct tool_violations v = { 0 };
		struct tool *t = NULL;
		struct buf why = { 0 };

		assert_int_equal(tool_file_load("t.yaml", text, strlen(text),
						&v, &t),
				 TOOL_E_INVALID);
		assert_int_equal(tool_violations_text(&v, &why), 0);
		if (!strstr(buf_cstr(&why), refused_cases[i].says))
			fail_msg("\"%s\" is not in \"%s\"",
				 refused_cases[i].says, (char *)why.data);
		buf_deinit(&why);
		tool_violations_deinit(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtins_load),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_http_auth),
		cmocka_unit_test(test_http_names_secrets),
		cmocka_unit_test(test_http_refuses),
		cmocka_unit_test(test_slack),
		cmocka_unit_test(test_slack_says_what_failed),
		cmocka_unit_test(test_discord),
		cmocka_unit_test(test_webhook),
		cmocka_unit_test(test_email),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_members),
		cmocka_unit_test(test_paths_cannot_be_left),
		cmocka_unit_test(test_refuses_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
