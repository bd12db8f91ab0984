/* Which addresses are public. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"

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

static bool is_public(const char *text)
{
	struct sockaddr_storage s = address_of(text, 443);

	return address_is_public((struct sockaddr *)&s);
}

static const struct {
	const char *address;
	bool is_public;
} addresses[] = {
	/* IPv4, the edges of each network */
	{ "0.0.0.0", false },
	{ "0.0.0.1", false },
	{ "0.255.255.255", false },
	{ "1.0.0.0", true },
	{ "1.1.1.1", true },
	{ "8.8.8.8", true },
	{ "9.255.255.255", true },
	{ "10.0.0.0", false },
	{ "10.255.255.255", false },
	{ "11.0.0.0", true },
	{ "100.63.255.255", true },
	{ "100.64.0.0", false },
	{ "100.127.255.255", false },
	{ "100.128.0.0", true },
	{ "126.255.255.255", true },
	{ "127.0.0.0", false },
	{ "127.0.0.1", false },
	{ "127.1.2.3", false },
	{ "127.255.255.255", false },
	{ "128.0.0.0", true },
	{ "169.253.255.255", true },
	{ "169.254.0.0", false },
	{ "169.254.169.254", false },
	{ "169.255.0.0", true },
	{ "172.15.255.255", true },
	{ "172.16.0.0", false },
	{ "172.17.0.1", false },
	{ "172.31.255.255", false },
	{ "172.32.0.0", true },
	{ "191.255.255.255", true },
	{ "192.0.0.0", false },
	{ "192.0.0.171", false },
	{ "192.0.1.0", true },
	{ "192.0.2.1", false },
	{ "192.0.3.0", true },
	{ "192.88.99.1", false },
	{ "192.88.100.0", true },
	{ "192.167.255.255", true },
	{ "192.168.0.0", false },
	{ "192.168.1.1", false },
	{ "192.169.0.0", true },
	{ "198.17.255.255", true },
	{ "198.18.0.0", false },
	{ "198.19.255.255", false },
	{ "198.20.0.0", true },
	{ "198.51.100.7", false },
	{ "198.51.101.0", true },
	{ "203.0.113.255", false },
	{ "203.0.114.0", true },
	{ "223.255.255.255", true },
	{ "224.0.0.1", false },
	{ "239.255.255.255", false },
	{ "240.0.0.0", false },
	{ "255.255.255.254", false },
	{ "255.255.255.255", false },
	/* IPv6 */
	{ "::", false },
	{ "::1", false },
	{ "::2", false },
	{ "::7f00:1", false },  /* IPv4-compatible */
	{ "::808:808", false }, /* the same, of a public one */
	{ "::ffff:127.0.0.1", false },
	{ "::ffff:10.0.0.1", false },
	{ "::ffff:169.254.169.254", false },
	{ "::ffff:0.0.0.0", false },
	{ "::ffff:8.8.8.8", true },
	{ "::ffff:0:8.8.8.8", false }, /* IPv4-translated, RFC 2765 */
	{ "64:ff9b::7f00:1", false },
	{ "64:ff9b::10.1.2.3", false },
	{ "64:ff9b::8.8.8.8", true },
	{ "64:ff9b:1::8.8.8.8", false }, /* NAT64 of a local network */
	{ "100::1", false },
	{ "1fff:ffff::1", false },
	{ "2000::1", true },
	{ "2001::1", false },
	{ "2001:0:4136:e378:8000:63bf:3fff:fdd2", false }, /* Teredo */
	{ "2001:10::1", false },
	{ "2001:20::1", false },
	{ "2001:1ff:ffff::1", false },
	{ "2001:200::1", true },
	{ "2001:4860:4860::8888", true },
	{ "2001:db8::1", false },
	{ "2001:db9::1", true },
	{ "2002:7f00:1::1", false }, /* 6to4 of 127.0.0.1 */
	{ "2002:a00:1::1", false },
	{ "2002:c0a8:101::1", false },
	{ "2002:808:808::1", true },
	{ "2606:4700:4700::1111", true },
	{ "3ffe:ffff::1", true },
	{ "3fff::1", false },
	{ "3fff:fff:ffff::1", false },
	{ "3fff:1000::1", true },
	{ "4000::1", false },
	{ "5f00::1", false },
	{ "fbff::1", false },
	{ "fc00::1", false },
	{ "fd12:3456::1", false },
	{ "fdff:ffff::1", false },
	{ "fe80::1", false },
	{ "febf::1", false },
	{ "fec0::1", false },
	{ "ff02::1", false },
	{ "ff0e::1", false },
};

static void test_public(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		if (is_public(addresses[i].address) != addresses[i].is_public)
			fail_msg("%s is taken as %s", addresses[i].address,
				 addresses[i].is_public ? "closed" : "public");
}

static void test_other_families(void **state)
{
	struct sockaddr_storage s = { .ss_family = AF_UNIX };

	assert_false(address_is_public((struct sockaddr *)&s));
}

static void test_text(void **state)
{
	struct sockaddr_storage v4 = address_of("192.0.2.1", 80);
	struct sockaddr_storage v6 = address_of("2001:db8::1", 443);
	char out[ADDRESS_TEXT_BYTES];

	assert_string_equal(address_text((struct sockaddr *)&v4, out),
			    "192.0.2.1:80");
	assert_string_equal(address_text((struct sockaddr *)&v6, out),
			    "[2001:db8::1]:443");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_other_families),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
