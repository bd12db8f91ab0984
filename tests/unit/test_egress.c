/* Where a job may connect to, and how hosts are spelt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/net_host.h"
#include "common/runtime_config.h"
#include "orchestrator/egress.h"

static const struct {
	const char *written, *host;
	enum net_host_kind kind;
} hosts[] = {
	{ "example.com", "example.com", NET_HOST_NAME },
	{ "Example.COM.", "example.com", NET_HOST_NAME },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example", NET_HOST_NAME },
	{ "a_b.example", "a_b.example", NET_HOST_NAME },
	{ "localhost", "localhost", NET_HOST_NAME },
	{ "1.example", "1.example", NET_HOST_NAME },
	{ "0x7f.example", "0x7f.example", NET_HOST_NAME },
	{ "192.0.2.1", "192.0.2.1", NET_HOST_IPV4 },
	{ "192.0.2.1.", "192.0.2.1", NET_HOST_IPV4 },
	{ "::1", "::1", NET_HOST_IPV6 },
	{ "[::1]", "::1", NET_HOST_IPV6 },
	{ "[2001:DB8:0:0::1]", "2001:db8::1", NET_HOST_IPV6 },
	{ "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", NET_HOST_IPV6 },
};

static const char *const not_hosts[] = {
	/* What inet_aton() takes for an address is no name. */
	"127.1",
	"2130706433",
	"0x7f.1",
	"0x7f000001",
	"0X7F.0X1",
	"017700000001",
	"0177.0.0.1",
	"127.0.0.0x1",
	"1.2.3.4.5",
	"256.1.1.1",
	"example.0",
	"",
	".",
	"..",
	"a..b",
	".a",
	"-a.b",
	"a-.b",
	"a b",
	"a%62.c",
	"user@host",
	("b\xc3\xbc"
	 "cher.example"),
	"*",
	"[::1",
	"::1]",
	"[]",
	"[127.0.0.1]",
	"fe80::1%eth0",
	"[v1.x]",
};

static void test_hosts(void **state)
{
	char out[NET_HOST_BYTES], longest[NET_HOST_MAX_BYTES + 2];
	enum net_host_kind kind;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		assert_int_equal(net_host_normal(hosts[i].written,
						 strlen(hosts[i].written), out,
						 &kind),
				 0);
		assert_string_equal(out, hosts[i].host);
		assert_int_equal(kind, hosts[i].kind);
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_hosts); i++)
		if (!net_host_normal(not_hosts[i], strlen(not_hosts[i]), out,
				     &kind))
			fail_msg("\"%s\" is accepted", not_hosts[i]);
	memset(longest, 'a', sizeof(longest));
	assert_true(net_host_normal(longest, sizeof(longest) - 1, out, &kind) <
		    0);
	assert_true(net_host_normal("a\0b", 3, out, &kind) < 0);
}

static void test_split(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{ "a.example", "a.example", 7 },
		{ "A.example:443", "a.example", 443 },
		{ "[::1]:80", "::1", 80 },
		{ "[::1]", "::1", 7 },
		{ "192.0.2.1:65535", "192.0.2.1", 65535 },
	};
	static const char *const wrong[] = {
		"a:0", "a:",      "a:65536", "a:+1",    "a:1x",  ":80",
		"::1", "[::1]80", "[::1]:",  "a:80:80", "a: 80", "a:000080",
	};
	char out[NET_HOST_BYTES];
	enum net_host_kind kind;
	uint16_t port;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		port = 7;
		assert_int_equal(net_host_split(good[i].text,
						strlen(good[i].text), out,
						&kind, &port),
				 0);
		assert_string_equal(out, good[i].host);
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (!net_host_split(wrong[i], strlen(wrong[i]), out, &kind,
				    &port))
			fail_msg("\"%s\" is accepted", wrong[i]);
}

static bool permits(const struct runtime_allow *net, const char *host,
		    uint16_t port)
{
	_cleanup_(egress_freep) struct egress *e = NULL;

	assert_int_equal(egress_new(&e, net), 0);
	return egress_permits(e, host, port);
}

static void test_rules(void **state)
{
	static const struct {
		const char *rule, *host;
		uint16_t port;
		bool yes;
	} cases[] = {
		{ "a.example", "a.example", 80, true },
		{ "a.example", "a.example", 443, true },
		{ "a.example", "a.example", 8080, false },
		{ "a.example:8080", "a.example", 8080, true },
		{ "a.example:8080", "a.example", 80, false },
		{ "a.example", "b.a.example", 80, false },
		{ "a.example", "xa.example", 80, false },
		{ "a.example", "a.example.evil", 80, false },
		{ "*.a.example", "b.a.example", 80, true },
		{ "*.a.example", "c.b.a.example", 80, true },
		{ "*.a.example", "a.example", 80, false },
		{ "*.a.example", ".a.example", 80, false },
		{ "*.a.example", "xa.example", 80, false },
		{ "*.a.example:81", "b.a.example", 81, true },
		{ "192.0.2.1", "192.0.2.1", 80, true },
		{ "192.0.2.1", "192.0.2.2", 80, false },
		{ "[::1]:81", "::1", 81, true },
		{ "[::1]", "::1", 443, true },
		{ "[::1]", "::ffff:1", 443, false },
	};
	const struct runtime_allow all = RUNTIME_ALLOW_ALL, none = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (permits(&RUNTIME_ALLOW_LIST(cases[i].rule), cases[i].host,
			    cases[i].port) != cases[i].yes)
			fail_msg("%s for %s:%u", cases[i].rule, cases[i].host,
				 cases[i].port);
	assert_true(permits(&all, "x.example", 1));
	assert_false(permits(&none, "x.example", 80));
	assert_false(permits(NULL, "x.example", 80));
	assert_true(egress_wanted(&all));
	assert_false(egress_wanted(&none));
	assert_true(egress_wanted(&RUNTIME_ALLOW_LIST("a")));
}

static void test_notes(void **state)
{
	_cleanup_(egress_freep) struct egress *e = NULL;
	bool last = false;

	assert_int_equal(egress_new(&e, NULL), 0);
	assert_true(egress_note(e, "a.example", 80, &last));
	assert_false(egress_note(e, "a.example", 80, &last));
	for (uint16_t port = 1; port < EGRESS_NOTICES_MAX; port++) {
		assert_false(last);
		assert_true(egress_note(e, "b.example", port, &last));
	}
	assert_true(last);
	assert_false(egress_note(e, "c.example", 80, &last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
