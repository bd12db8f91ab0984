/* Targets that an administrator allows. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/allow_list.h"

static struct sockaddr_storage address_of(const char *text, uint16_t port)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in *v4 = (void *)&s;
	struct sockaddr_in6 *v6 = (void *)&s;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return s;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return s;
}

static bool permitted(const char *allow, const char *host, const char *address,
		      uint16_t port)
{
	struct sockaddr_storage s = address_of(address, port);
	struct allow_list a = { 0 };
	char err[256];
	bool yes;

	if (allow && allow_list_add(&a, allow, err, sizeof(err)))
		fail_msg("%s", err);
	yes = allow_list_permits(&a, host, (struct sockaddr *)&s);
	allow_list_deinit(&a);
	return yes;
}

static const struct {
	const char *allow, *host, *address;
	uint16_t port;
	bool permitted;
} rules[] = {
	{ NULL, "a.example", "8.8.8.8", 80, true },
	{ NULL, "a.example", "127.0.0.1", 80, false },
	/* Networks: the address decides, whatever it is called. */
	{ "127.0.0.1", "a.example", "127.0.0.1", 80, true },
	{ "127.0.0.1", "127.0.0.1", "127.0.0.2", 80, false },
	{ "127.0.0.0/8", "a.example", "127.9.9.9", 80, true },
	{ "127.0.0.0/8:80", "a.example", "127.9.9.9", 80, true },
	{ "127.0.0.0/8:80", "a.example", "127.9.9.9", 81, false },
	{ "10.1.2.3:8080", "x", "10.1.2.3", 8080, true },
	{ "10.1.2.3:8080", "x", "10.1.2.3", 80, false },
	{ "10.0.0.0/9", "x", "10.127.0.1", 80, true },
	{ "10.0.0.0/9", "x", "10.128.0.1", 80, false },
	{ "0.0.0.0/0", "x", "192.168.0.1", 80, true },
	{ "0.0.0.0/0", "x", "fd00::1", 80, false },
	{ "127.0.0.1", "x", "::ffff:127.0.0.1", 80, true },
	{ "127.0.0.1", "x", "::1", 80, false },
	{ "::1", "x", "::1", 25, true },
	{ "[::1]", "x", "::1", 25, true },
	{ "[::1]:25", "x", "::1", 25, true },
	{ "[::1]:25", "x", "::1", 26, false },
	{ "fd00::/8", "x", "fd99::1", 80, true },
	{ "[fd00::/8]:443", "x", "fd99::1", 443, true },
	{ "[fd00::/8]:443", "x", "fd99::1", 80, false },
	/* Names: the URL's host decides, whatever its address is. */
	{ "localhost", "localhost", "127.0.0.1", 80, true },
	{ "localhost", "LocalHost.", "127.0.0.1", 80, true },
	{ "localhost", "localhost", "::1", 80, true },
	{ "localhost", "127.0.0.1", "127.0.0.1", 80, false },
	{ "localhost", "localhost.evil.example", "127.0.0.1", 80, false },
	{ "localhost", "xlocalhost", "127.0.0.1", 80, false },
	{ "localhost:8080", "localhost", "127.0.0.1", 8080, true },
	{ "localhost:8080", "localhost", "127.0.0.1", 80, false },
	{ "mail.internal:25", "mail.internal", "10.0.0.5", 25, true },
};

static void test_allow(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (permitted(rules[i].allow, rules[i].host, rules[i].address,
			      rules[i].port) != rules[i].permitted)
			fail_msg("rule %zu: %s for %s (%s:%u)", i,
				 rules[i].allow ? rules[i].allow : "none",
				 rules[i].host, rules[i].address,
				 rules[i].port);
}

static void test_allow_refuses(void **state)
{
	static const char *const wrong[] = {
		"",           ":80",          "a b",         "10.0.0.0/33",
		"fd00::/129", "[::1",         "[::1]80",     "host:0",
		"host:65536", "host:x",       "10.0.0.0/x",  "name/8",
		"-x",         ".x",           "h\xc3\xb6st", "http://x",
		"[]:80",      "10.0.0.0/8/8", "a:",
	};
	struct allow_list a = { 0 };
	char err[256];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		err[0] = '\0';
		if (!allow_list_add(&a, wrong[i], err, sizeof(err)))
			fail_msg("\"%s\" is accepted", wrong[i]);
		assert_non_null(strstr(err, "expected"));
	}
	assert_int_equal(a.n, 0);
	for (int i = 0; i < ALLOW_LIST_MAX; i++)
		assert_int_equal(allow_list_add(&a, "x", err, sizeof(err)), 0);
	assert_true(allow_list_add(&a, "x", err, sizeof(err)) < 0);
	allow_list_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_allow_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
