/* The runtime configuration: options, block, lists, limits, no memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/runtime_config.h"
#include "js.h"

/* --- a malloc that fails (-Wl,--wrap) ------------------------------------- */

static int fail_after = -1; /* so many allocations still succeed */
static int failed;

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool fail_now(void)
{
	if (fail_after < 0)
		return false;
	if (fail_after-- > 0)
		return false;
	fail_after = 0; /* and all that come after it */
	failed++;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fail_now() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fail_now() ? NULL : __real_realloc(p, n);
}

/* --- helpers -------------------------------------------------------------- */

static struct runtime_config *make(const char *block)
{
	_cleanup_json_ json_t *in = js(block);
	struct runtime_config *c = NULL;
	struct buf why = { 0 };
	int r = runtime_config_from_json(&c, RUNTIME_KIND_JOB, in, &why);

	if (r)
		print_message("%s: %s\n", block,
			      why.len ? buf_cstr(&why) : "no memory");
	assert_int_equal(r, 0);
	assert_int_equal(why.len, 0);
	buf_deinit(&why);
	return c;
}

static void assert_refused(const char *block, const char *expected)
{
	_cleanup_json_ json_t *in = js(block);
	struct runtime_config *c = NULL;
	struct buf why = { 0 };

	assert_int_equal(runtime_config_from_json(&c, RUNTIME_KIND_JOB, in,
						  &why),
			 RUNTIME_CONFIG_E_INVALID);
	assert_null(c);
	assert_string_equal(buf_cstr(&why), expected);
	buf_deinit(&why);
}

/* The only permission or list of a block with this item. */
static void assert_item(const char *list, const char *item, const char *normal)
{
	struct runtime_config *c;
	char block[4096];
	json_t *out;

	snprintf(block, sizeof(block),
		 "{'type':'bash','permissions':{'%s':['%s']}}", list, item);
	c = make(block);
	out = runtime_config_json(c);
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(json_object_get(out, "permissions"),
					list),
			0)),
		normal);
	json_decref(out);
	runtime_config_free(c);
}

static void assert_item_refused(const char *list, const char *item,
				const char *why)
{
	char block[4096], expected[1024];

	snprintf(block, sizeof(block),
		 "{'type':'bash','permissions':{'%s':['%s']}}", list, item);
	snprintf(expected, sizeof(expected), "permissions.%s: \"%.80s\" %s",
		 list, item, why);
	assert_refused(block, expected);
}

/* --- options -------------------------------------------------------------- */

static void test_defaults(void **state)
{
	struct runtime_config_options o = { .type = " Python\n" };
	const struct runtime_config_options *got;
	struct runtime_config *c;
	struct buf why = { 0 };

	(void)state;
	assert_int_equal(runtime_config_new(&c, &o, &why), 0);
	got = runtime_config_get(c);
	assert_int_equal(runtime_config_type(c), RUNTIME_PYTHON);
	assert_string_equal(got->type, "python");
	assert_string_equal(got->environment, "production");
	assert_null(got->entrypoint);
	assert_null(got->node_options);
	assert_false(got->permissions.net.all || got->permissions.all);
	assert_null(got->permissions.net.items);
	assert_int_equal(got->max_memory_mb, 2048);
	assert_int_equal(got->timeout_ms, 0);
	assert_int_equal(got->max_stderr_bytes, 1 << 20);
	assert_int_equal(got->retries, 0);
	assert_int_equal(got->backoff_initial_ms, 100);
	assert_int_equal(got->backoff_max_ms, 5000);
	assert_int_equal(got->backoff_max_elapsed_ms, 30000);
	assert_int_equal(got->worker_file_perm, 0600);
	runtime_config_free(c);
	o.kind = RUNTIME_KIND_TOOL;
	assert_int_equal(runtime_config_new(&c, &o, &why), 0);
	assert_int_equal(runtime_config_get(c)->timeout_ms, 60000);
	runtime_config_free(c);
}

static void test_deep_copy(void **state)
{
	char host[] = "API.Example.com", path[] = "/data//x/", entry[] = "a/b";
	char type[] = "NODE", environment[] = "staging", option[] = "--foo";
	struct runtime_config_options o = {
		.type = type,
		.entrypoint = entry,
		.environment = environment,
		.permissions.net = RUNTIME_ALLOW_LIST(host, "b"),
		.permissions.read = RUNTIME_ALLOW_LIST(path),
		.node_options = (const char *const[]){ option, NULL },
	};
	const struct runtime_config_options *got;
	struct runtime_config *c;
	struct buf why = { 0 };

	(void)state;
	assert_int_equal(runtime_config_new(&c, &o, &why), 0);
	memset(host, 'x', 3);
	memset(path, 'x', 3);
	memset(entry, 'x', 3);
	memset(type, 'x', 3);
	memset(environment, 'x', 3);
	memset(option, 'x', 3);
	got = runtime_config_get(c);
	assert_string_equal(got->type, "node");
	assert_string_equal(got->entrypoint, "a/b");
	assert_string_equal(got->environment, "staging");
	assert_string_equal(got->permissions.net.items[0], "api.example.com");
	assert_string_equal(got->permissions.net.items[1], "b");
	assert_null(got->permissions.net.items[2]);
	assert_string_equal(got->permissions.read.items[0], "/data/x");
	assert_null(got->permissions.write.items);
	assert_string_equal(got->node_options[0], "--foo");
	assert_null(got->node_options[1]);
	runtime_config_free(c);
}

static void test_all_violations_at_once(void **state)
{
	struct runtime_config_options o = {
		.type = "perl",
		.entrypoint = "../x",
		.environment = "live",
		.permissions.net = RUNTIME_ALLOW_LIST("http://x"),
		.permissions.env = RUNTIME_ALLOW_LIST("LD_PRELOAD"),
		.max_memory_mb = 1,
		.retries = 1000,
		.backoff_initial_ms = 6000,
		.worker_file_perm = 04600,
	};
	struct runtime_config *c;
	struct buf why = { 0 };

	(void)state;
	assert_int_equal(runtime_config_new(&c, &o, &why),
			 RUNTIME_CONFIG_E_INVALID);
	assert_null(c);
	assert_string_equal(
		buf_cstr(&why),
		"type: must be one of python, bash, node, bun, not \"perl\"; "
		"entrypoint: \"../x\" is not a relative path of at most 1024 "
		"bytes without \"..\", \"\\\", control characters or a "
		"leading \"-\"; "
		"environment: must be one of development, staging, production, "
		"not \"live\"; "
		"worker_file_perm: must be 0400 to 0777 with the owner's right "
		"to read, not 04600; "
		"permissions.net: \"http://x\" is not HOST, HOST:PORT, "
		"*.HOST, an IPv4 address or [IPv6]:PORT; "
		"permissions.env: \"LD_PRELOAD\" would change what is loaded "
		"or run: no script gets it; "
		"max_memory_mb: must be 16 to 4194304, not 1; "
		"retries: must be 0 to 100, not 1000; "
		"backoff: initial (6000 ms) must not be above max (5000 ms)");
	buf_deinit(&why);
}

static void test_violations_are_bounded(void **state)
{
	struct runtime_config_options o = { .type = "bash" };
	const char *items[RUNTIME_LIST_MAX_ITEMS + 2] = { NULL };
	struct runtime_config *c;
	struct buf why = { 0 };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i <= RUNTIME_LIST_MAX_ITEMS; i++)
		items[i] = "relative";
	o.permissions.read.items = items;
	assert_int_equal(runtime_config_new(&c, &o, &why),
			 RUNTIME_CONFIG_E_INVALID);
	for (const char *s = buf_cstr(&why); (s = strstr(s, "\"relative\""));
	     s++)
		n++;
	assert_int_equal(n, RUNTIME_VIOLATIONS_MAX);
	assert_non_null(strstr(buf_cstr(&why), "; and 237 more"));
	buf_deinit(&why);
}

static void test_types(void **state)
{
	static const char *const good[] = { "python", "BASH", "\tNode ",
					    "bun" };
	static const char *const bad[] = { "", " ", "python3", "no de",
					   "deno" };
	enum runtime_type type;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(runtime_type_parse(good[i], &type), 0);
		assert_int_equal(type, i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(runtime_type_parse(bad[i], &type), -EINVAL);
}

/* --- the block ------------------------------------------------------------ */

static void test_name_alone(void **state)
{
	struct runtime_config *c = make("'bun'");
	json_t *out = runtime_config_json(c);
	json_t *expected = js(
		"{'type':'bun','entrypoint':null,'environment':'production',"
		"'permissions':{'net':false,'read':false,'write':false,"
		"'env':false,'run':false},'node_options':[],"
		"'max_memory_mb':2048,'timeout':0,"
		"'max_stderr_capture':1048576,'retries':0,"
		"'backoff':{'initial':100,'max':5000,'max_elapsed':30000},"
		"'worker_file_perm':'0600','native_tools':"
		"{'call_agents':true,'call_workflows':true}}");

	(void)state;
	assert_true(json_equal(out, expected));
	json_decref(out);
	json_decref(expected);
	runtime_config_free(c);
}

static void test_normal_form_stays(void **state)
{
	struct runtime_config *c = make(
		"{'type':' NODE ','entrypoint':'src/main.mjs',"
		"'environment':'development','permissions':{'net':"
		"['A.example.com:443','*.B.test'],'read':['/data/'],"
		"'write':true,'env':['TZ'],'run':'all'},"
		"'node_options':['--max_old_space_size=100','--enable-source-"
		"maps'],'max_memory_mb':256,'timeout':'1.5s',"
		"'max_stderr_capture':'64k','retries':3,"
		"'backoff':{'initial':50,'max':'2s'},'worker_file_perm':'640',"
		"'native_tools':{'call_agents':false}}");
	json_t *out = runtime_config_json(c), *again;
	json_t *expected = js(
		"{'type':'node','entrypoint':'src/main.mjs',"
		"'environment':'development','permissions':{'net':"
		"['a.example.com:443','*.b.test'],'read':['/data'],"
		"'write':true,'env':['TZ'],'run':true},"
		"'node_options':['--max_old_space_size=100',"
		"'--enable-source-maps'],'max_memory_mb':256,"
		"'timeout':1500,'max_stderr_capture':65536,'retries':3,"
		"'backoff':{'initial':50,'max':2000,'max_elapsed':30000},"
		"'worker_file_perm':'0640','native_tools':"
		"{'call_agents':false,'call_workflows':true}}");
	char *text;

	(void)state;
	assert_true(json_equal(out, expected));
	runtime_config_free(c);
	text = json_dumps(out, JSON_COMPACT);
	c = make(text);
	again = runtime_config_json(c);
	assert_true(json_equal(out, again));
	free(text);
	json_decref(out);
	json_decref(again);
	json_decref(expected);
	runtime_config_free(c);
}

static void test_block_of_wrong_types(void **state)
{
	(void)state;
	assert_refused("7", "runtime: must be a type's name or an object, "
			    "not a number");
	assert_refused("{}", "type: is needed: python, bash, node or bun");
	assert_refused("{'type':3,'node_options':['--x']}",
		       "type: must be a string, not a number");
	assert_refused(
		"{'type':'node','permissions':{'disk':true,'net':3,'run':[]},"
		"'backoff':{'factor':2},'retries':-1,'max_memory_mb':0,"
		"'timeout':'30','max_stderr_capture':1.5,'colour':1,"
		"'worker_file_perm':600,'native_tools':{'call_agents':1},"
		"'node_options':[1]}",
		"permissions.disk: is not a known member; "
		"permissions.net: must be true, false or an array of strings, "
		"not a number; "
		"permissions.run: must be true or false, not an array; "
		"backoff.factor: is not a known member; "
		"retries: must be 0 to 100, not -1; "
		"max_memory_mb: must be 16 to 4194304, not 0; "
		"timeout: \"30\" is not milliseconds or a duration such as "
		"\"30s\"; "
		"max_stderr_capture: must be a number of bytes or a size such "
		"as \"1m\", not a number; "
		"colour: is not a known member; "
		"worker_file_perm: must be octal digits in a string, such as "
		"\"0600\"; "
		"native_tools.call_agents: must be true or false, not a "
		"number; "
		"node_options: item 0 must be a string, not a number");
}

static void test_everything_allowed(void **state)
{
	static const char *const blocks[] = {
		"{'type':'bash','permissions':true}",
		"{'type':'bash','permissions':'all'}",
		"{'type':'bash','permissions':{'all':true,'net':['x']}}",
		("{'type':'bash','permissions':{'net':true,'read':'all',"
		 "'write':true,'env':true,'run':true}}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct runtime_config *c = make(blocks[i]);
		const struct runtime_permissions *p =
			&runtime_config_get(c)->permissions;

		assert_true(p->all && p->net.all && p->read.all &&
			    p->write.all && p->env.all && p->run);
		assert_null(p->net.items);
		runtime_config_free(c);
	}
	assert_refused("{'type':'bash','permissions':'some'}",
		       "permissions: must be an object, true or false, not a "
		       "string");
}

static void test_other_violations_are_kept_apart(void **state)
{
	struct buf why = { 0 };
	struct violations v = { .out = &why, .prefix = "runtime" };
	json_t *good = js("{'type':'bash'}"), *bad = js("{'retries':[]}");
	struct runtime_config *c;

	(void)state;
	violations_add(&v, "", "was said before");
	assert_int_equal(
		runtime_config_read_json(&c, RUNTIME_KIND_JOB, good, &v), 0);
	runtime_config_free(c);
	assert_int_equal(runtime_config_read_json(&c, RUNTIME_KIND_JOB, bad,
						  &v),
			 RUNTIME_CONFIG_E_INVALID);
	assert_int_equal(violations_end(&v), VIOLATIONS_E_SOME);
	assert_string_equal(buf_cstr(&why),
			    "runtime: was said before; runtime.retries: must "
			    "be a whole number, not an array; runtime.type: is "
			    "needed: python, bash, node or bun");
	buf_deinit(&why);
	json_decref(good);
	json_decref(bad);
}

/* --- lists ---------------------------------------------------------------- */

static void test_net(void **state)
{
	static const char *const good[][2] = {
		{ "Example.COM.", "example.com" },
		{ "example.com.:0443", "example.com:443" },
		{ "localhost:1", "localhost:1" },
		{ "*.A.b:65535", "*.a.b:65535" },
		{ "my_host-1", "my_host-1" },
		{ "10.0.0.1:80", "10.0.0.1:80" },
		{ "[2001:DB8::0:1]", "[2001:db8::1]" },
		{ "[::a0b:c0d]:8080", "[::10.11.12.13]:8080" },
		{ "1.2.3.com", "1.2.3.com" },
	};
	static const char *const bad[] = {
		"",      "*",         ".",          "*.",        "a..b",
		"-a",    "a-.b",      "a b",        "a/b",       "https://a",
		"a:",    "a:0",       "a:65536",    "a:b",       "a:1:2",
		"::1",   "[::1",      "[::1]x",     "[1.2.3.4]", "[fe80::1%lo]",
		"127.1", "1.2.3.4.5", "256.1.1.1",  "*.1.2.3.4", "0x7f.1.0x1",
		"a.*.b", "user@a",    "2130706433", "x\xc3\xa4",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_item("net", good[i][0], good[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_item_refused("net", bad[i],
				    "is not HOST, HOST:PORT, *.HOST, an IPv4 "
				    "address or [IPv6]:PORT");
}

static void test_paths(void **state)
{
	char longest[RUNTIME_ITEM_MAX_BYTES + 2];

	(void)state;
	assert_item("read", "/", "/");
	assert_item("read", "//", "/");
	assert_item("write", "/a//b/./c/", "/a/b/c");
	assert_item("read", "/..a/b..", "/..a/b..");
	assert_item("read", "/\xc3\xa4", "/\xc3\xa4");
	assert_item_refused("read", "data", "is not an absolute path");
	assert_item_refused("read", "", "is not an absolute path");
	assert_item_refused("write", "/a/../b", "has \"..\" in it");
	assert_item_refused("write", "/..", "has \"..\" in it");
	assert_item_refused("read", "/a\x7f", "has control characters");
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_item_refused("read", longest, "is too long");
	longest[sizeof(longest) - 2] = '\0';
	assert_item("read", longest, longest);
}

static void test_invalid_utf8(void **state)
{
	struct runtime_config_options o = {
		.type = "bash",
		.entrypoint = "\xff",
		.permissions.read = RUNTIME_ALLOW_LIST("/\xff"),
	};
	struct runtime_config *c;
	struct buf why = { 0 };

	(void)state;
	assert_int_equal(runtime_config_new(&c, &o, &why),
			 RUNTIME_CONFIG_E_INVALID);
	assert_non_null(strstr(buf_cstr(&why), "is not UTF-8"));
	assert_non_null(strstr(buf_cstr(&why), "entrypoint: "));
	buf_deinit(&why);
}

static void test_entrypoints(void **state)
{
	static const char *const good[] = { "main.py", "src/a b.py", "..a",
					    "a/-b", "\xc3\xa4" };
	static const char *const bad[] = { "",   "/a",   "a/",     "a//b",
					   ".",  "..",   "a/../b", "./a",
					   "-c", "a\\b", "a\nb" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(runtime_entrypoint_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(runtime_entrypoint_valid(bad[i]));
}

static void test_env_refused(void **state)
{
	static const char *const refused[] = {
		"LD_PRELOAD",
		"LD_",
		"DYLD_INSERT_LIBRARIES",
		"NODE_OPTIONS",
		"BUN_OPTIONS",
		"BUN_INSPECT",
		"BUN_CONFIG_REGISTRY",
		"BASH_ENV",
		"ENV",
		"SHELLOPTS",
		"BASHOPTS",
		"BASH_FUNC_ls%%",
		"PS4",
		"IFS",
		"PYTHONSTARTUP",
		"PYTHONHOME",
		"PYTHONINSPECT",
		"PYTHONBREAKPOINT",
		"GCONV_PATH",
		"GLIBC_TUNABLES",
		"MALLOC_CHECK_",
		"CRONIUM_RUNTIME_API",
		"CRONIUM_CA_FILE_",
		"OPENSSL_CONF",
	};
	static const char *const allowed[] = {
		"PATH",
		"PYTHONPATH",
		"NODE_PATH",
		"NODE_ENV",
		"TZ",
		"HOME",
		"LD",
		"ENVIRONMENT",
		"ld_preload",
		"NODE_EXTRA_CA_CERTS",
		"",
		"PYTHONUNBUFFERED",
		"HTTP_PROXY",
		"CRONIUM",
		"CRONIUM_CA_FILE",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_true(runtime_config_env_refused(refused[i]));
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		assert_false(runtime_config_env_refused(allowed[i]));
	assert_item("env", "_A9", "_A9");
	assert_item_refused("env", "9A",
			    "is not a name of letters, digits and _");
	assert_item_refused("env", "A=B",
			    "is not a name of letters, digits and _");
}

static void assert_node_option(const char *option, bool good)
{
	struct runtime_config_options o = {
		.type = "node",
		.node_options = (const char *const[]){ option, NULL },
	};
	struct runtime_config *c;
	struct buf why = { 0 };
	int r = runtime_config_new(&c, &o, &why);

	if (r != (good ? 0 : RUNTIME_CONFIG_E_INVALID))
		print_message("%s: %s\n", option, buf_cstr(&why));
	assert_int_equal(r, good ? 0 : RUNTIME_CONFIG_E_INVALID);
	runtime_config_free(c);
	buf_deinit(&why);
}

static void test_node_options(void **state)
{
	static const char *const good[] = {
		"--enable-source-maps",
		"--max-old-space-size=2048",
		"--max_old_space_size=1",
		"--expose-gc",
		"--no-warnings",
		"--unhandled-rejections=strict",
		"--experimental-strip-types",
		"--conditions=x",
		"--experimental-require-module",
		"--no-experimental-require-module",
		"--tracing",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_node_option(good[i], true);
}

static void test_node_options_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"-r",
		"--",
		"--=x",
		"script.js",
		"-e1",
		"--require=x",
		"--require",
		"--import=data:text/javascript,1",
		"--loader=x",
		"--experimental_loader=x",
		"--eval=1",
		"--print=1",
		"--inspect",
		"--inspect-brk=0.0.0.0:1",
		"--inspect_port=1",
		"--env-file=x",
		"--env-file-if-exists=x",
		"--run=x",
		"--test",
		"--test-reporter=x",
		"--permission",
		"--no-permission",
		"--allow-fs-read=*",
		"--experimental-permission",
		"--a\nb",
		"--max-old-space-size=2049",
		"--max-old-space-size",
		"--max_old-space_size=4g",
		"--max-heap-size=99999",
		"--max-old-space-size=18446744073709551617",
		"--security-revert=CVE-2023-1",
		"--openssl-config=x",
		"--snapshot-blob=x",
		"--no-no-x\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_node_option(bad[i], false);
}

static void test_node_options_say_why(void **state)
{
	(void)state;
	assert_refused("{'type':'bun','node_options':['--x']}",
		       "node_options: are for the type node, not bun");
	assert_refused("{'type':'node','node_options':['--import=x']}",
		       "node_options: \"--import=x\" is refused: it would "
		       "load or run code beside the script");
}

/* --- no memory ------------------------------------------------------------ */

static void test_no_memory(void **state)
{
	static const char *const blocks[] = {
		"{'type':'node','permissions':{'net':['a','b'],'read':['/']},"
		"'entrypoint':'x','node_options':['--x']}",
		"{'type':'perl','permissions':{'net':['a:b','/']}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		json_t *in = js(blocks[i]);

		for (int n = 0;; n++) {
			struct runtime_config *c = NULL;
			struct buf why = { 0 };
			int r;

			failed = 0;
			fail_after = n;
			r = runtime_config_from_json(&c, RUNTIME_KIND_JOB, in,
						     &why);
			fail_after = -1;
			assert_int_equal(c != NULL, r == 0);
			runtime_config_free(c);
			buf_deinit(&why);
			if (!failed) {
				assert_int_equal(r, (int)i);
				assert_true(n > 0);
				break;
			}
			assert_int_equal(r, -ENOMEM);
		}
		json_decref(in);
	}
}

static void *failing_malloc(size_t n)
{
	return fail_now() ? NULL : __real_malloc(n);
}

static void test_no_memory_for_normal_form(void **state)
{
	struct runtime_config *c = make(
		"{'type':'node','permissions':{'net':['a','b'],'env':['A']},"
		"'entrypoint':'x','node_options':['--x']}");
	json_t *out = NULL;

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	for (int n = 0; !out; n++) {
		failed = 0;
		fail_after = n;
		out = runtime_config_json(c);
		fail_after = -1;
		assert_int_equal(out != NULL, !failed);
	}
	json_decref(out);
	runtime_config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_deep_copy),
		cmocka_unit_test(test_all_violations_at_once),
		cmocka_unit_test(test_violations_are_bounded),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_name_alone),
		cmocka_unit_test(test_normal_form_stays),
		cmocka_unit_test(test_block_of_wrong_types),
		cmocka_unit_test(test_everything_allowed),
		cmocka_unit_test(test_other_violations_are_kept_apart),
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_entrypoints),
		cmocka_unit_test(test_env_refused),
		cmocka_unit_test(test_node_options),
		cmocka_unit_test(test_node_options_refused),
		cmocka_unit_test(test_node_options_say_why),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_for_normal_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
