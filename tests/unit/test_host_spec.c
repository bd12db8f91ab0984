#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/host_spec.h"
#include "common/json.h"

#define KEY "SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPA"

static struct store_host host;

/* NULL, or what is wrong. */
static const char *parse(const char *name, const char *text)
{
	static char why[2048];
	_cleanup_json_ json_t *members = json_loads(text, 0, NULL);
	struct buf violations = { 0 };
	int r;

	assert_non_null(members);
	r = host_spec_parse(name, members, &host, &violations);
	assert_true(r == 0 || r == HOST_SPEC_E_INVALID);
	strcpy(why, r ? buf_cstr(&violations) : "");
	buf_deinit(&violations);
	return r ? why : NULL;
}

static void assert_refused(const char *name, const char *text,
			   const char *member)
{
	const char *why = parse(name, text);

	if (!why)
		fail_msg("%s: %s was taken", name, text);
	if (strncmp(why, member, strlen(member)) || strstr(why, "; "))
		fail_msg("%s: %s", text, why);
}

static void test_defaults(void **state)
{
	assert_null(parse("web1", "{\"user\":\"u\",\"address\":\"h\"}"));
	assert_string_equal(host.name, "web1");
	assert_int_equal(host.port, 22);
	assert_string_equal(host.mode, "tunnel");
	assert_null(host.host_key);
	assert_false(host.read_only);
}

static void test_what_was_read_can_be_put_back(void **state)
{
	_cleanup_json_ json_t *o = NULL;
	char *text;

	assert_null(parse("web1", "{\"user\":\"u\",\"address\":\"::1\","
				  "\"port\":2222,\"host_key\":\"" KEY "\","
				  "\"mode\":\"direct\",\"read_only\":true}"));
	host.user = "u";
	host.address = "::1";
	host.host_key = KEY;
	host.mode = "direct";
	o = host_json(&host);
	text = json_dumps(o, 0);
	assert_null(parse("web1", text));
	assert_int_equal(host.port, 2222);
	free(text);
}

static void test_addresses(void **state)
{
	static const char *const good[] = {
		"h",
		"web1.example.com",
		"10.0.0.1",
		"::1",
		"2001:db8::5",
		"a_b",
		"xn--bcher-kva.example",
		"1a",
	};
	static const char *const bad[] = {
		"",           ".",        "a.",    "a..b",    "-a",  "a-",
		"10.0.0.256", "10.0.0",   "[::1]", "a b",     "a/b", "u@h",
		"h:22",       "::1%eth0", "1",     "\\u00e9",
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text),
			 "{\"user\":\"u\",\"address\":"
			 "\"%s\"}",
			 good[i]);
		if (parse("h", text))
			fail_msg("%s: %s", good[i], parse("h", text));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "{\"user\":\"u\",\"address\":"
			 "\"%s\"}",
			 bad[i]);
		assert_refused("h", text, "address: ");
	}
}

#define WITH(members) "{\"user\":\"u\",\"address\":\"h\"," members "}"

static void test_each_member_is_checked(void **state)
{
	assert_refused("-h", WITH("\"port\":22"), "name: ");
	assert_refused("a/b", WITH("\"port\":22"), "name: ");
	assert_refused("", WITH("\"port\":22"), "name: ");
	assert_refused("h", WITH("\"name\":\"other\""), "name: ");
	assert_refused("h", "{\"address\":\"h\"}", "user: ");
	assert_refused("h", "{\"address\":\"h\",\"user\":\"a b\"}", "user: ");
	assert_refused("h", "{\"address\":\"h\",\"user\":\"-u\"}", "user: ");
	assert_refused("h", "{\"user\":\"u\"}", "address: ");
	assert_refused("h", WITH("\"port\":0"), "port: ");
	assert_refused("h", WITH("\"port\":65536"), "port: ");
	assert_refused("h", WITH("\"port\":\"22\""), "port: ");
	assert_refused("h", WITH("\"mode\":\"both\""), "mode: ");
	assert_refused("h", WITH("\"mode\":null"), "mode: ");
	assert_refused("h", WITH("\"read_only\":1"), "read_only: ");
	assert_refused("h", WITH("\"host_key\":\"MD5:00\""), "host_key: ");
	assert_refused("h", WITH("\"host_key\":\"SHA256:abc\""), "host_key: ");
	assert_refused("h", WITH("\"host_key\":\"" KEY "=\""), "host_key: ");
	assert_refused("h", WITH("\"password\":\"x\""), "password: ");
	/* Bits that mean nothing must be zero: one key, one text. */
	assert_refused("h",
		       WITH("\"host_key\":\"SHA256:abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPB\""),
		       "host_key: ");
}

static void test_all_is_said_at_once(void **state)
{
	const char *why = parse("a b", "{\"user\":1,\"port\":-1,\"mode\":2,"
				       "\"read_only\":0,\"host_key\":3,"
				       "\"x\":1}");

	assert_non_null(why);
	assert_non_null(strstr(why, "name: "));
	assert_non_null(strstr(why, "; user: "));
	assert_non_null(strstr(why, "; address: "));
	assert_non_null(strstr(why, "; port: must be 1 to 65535, not -1"));
	assert_non_null(strstr(why, "; host_key: "));
	assert_non_null(strstr(why, "; mode: "));
	assert_non_null(strstr(why, "; read_only: "));
	assert_non_null(strstr(why, "x: is not a known member"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_what_was_read_can_be_put_back),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_each_member_is_checked),
		cmocka_unit_test(test_all_is_said_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
