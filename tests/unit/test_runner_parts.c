#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/doors.h"
#include "runner/remove_tree.h"

static int parse(struct doors *d, const char *json, char *err)
{
	char why[256];
	_cleanup_json_ json_t *o = json_parse_object(json, strlen(json), why,
						     sizeof(why));

	assert_non_null(o);
	return doors_parse(d, json_object_get(o, "doors"), err, 256);
}

static void test_doors(void **state)
{
	static const char json[] =
		"{\"doors\":[{\"name\":\"localhost\",\"port\":8081,"
		"\"to\":\"127.0.0.1:9\"},{\"name\":\"a.example\",\"port\":443,"
		"\"to\":\"[::1]:65535\"},{\"name\":\"A.example\",\"port\":80,"
		"\"to\":\"b.example:1\"},{\"name\":\"::5\",\"port\":1,"
		"\"to\":\"b:2\"}]}";
	static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n"
				    "127.0.0.3 a.example\n"
				    "127.0.0.3 A.example\n";
	struct buf b = { 0 };
	struct doors d;
	char err[256];

	assert_int_equal(parse(&d, json, err), 0);
	assert_int_equal(d.n, 4);
	assert_int_equal(d.items[0].listen.in.sin_addr.s_addr,
			 htonl(INADDR_LOOPBACK));
	assert_int_equal(ntohs(d.items[1].listen.in.sin_port), 443);
	assert_string_equal(d.items[1].to_host, "::1");
	assert_int_equal(d.items[1].to_port, 65535);
	assert_int_equal(d.items[3].listen.any.sa_family, AF_INET6);
	assert_int_equal(doors_append_hosts(&d, &b), 0);
	assert_string_equal(buf_cstr(&b), hosts);
	buf_deinit(&b);
}

static void test_no_doors(void **state)
{
	static const char *const bad[] = {
		"{\"doors\":{}}",
		"{\"doors\":[1]}",
		"{\"doors\":[{\"name\":\"\",\"port\":1,\"to\":\"a:1\"}]}",
		"{\"doors\":[{\"name\":\"a\",\"port\":65536,\"to\":\"a:1\"}]}",
		"{\"doors\":[{\"name\":\"a\",\"port\":1,\"to\":\"a:0\"}]}",
		"{\"doors\":[{\"name\":\"a\",\"port\":1,\"to\":\":1\"}]}",
		"{\"doors\":[{\"name\":\"a\",\"port\":1,\"to\":\"a b:1\"}]}",
		"{\"doors\":[{\"name\":\"a\\nb\",\"port\":1,\"to\":\"a:1\"}]}",
		"{\"doors\":[0,0,0,0,0,0,0,0,0]}",
	};
	struct doors d;
	char err[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse(&d, bad[i], err), -EINVAL);
	assert_int_equal(parse(&d, "{}", err), 0);
	assert_int_equal(d.n, 0);
}

static void test_resolve(void **state)
{
	struct doors d;
	char err[256];

	assert_int_equal(parse(&d,
			       "{\"doors\":[{\"name\":\"localhost\",\"port\":1,"
			       "\"to\":\"localhost:2\"}]}",
			       err),
			 0);
	assert_int_equal(doors_resolve(&d, err, sizeof(err)), 0);
	assert_true(d.items[0].n_to >= 1);
	snprintf(d.items[0].to_host, sizeof(d.items[0].to_host),
		 "nowhere.invalid");
	assert_true(doors_resolve(&d, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "nowhere.invalid"));
}

static void test_remove_tree(void **state)
{
	char top[] = "/tmp/cronium-remove-XXXXXX", outside[64], link[64];
	int dir, kept;

	assert_non_null(mkdtemp(top));
	snprintf(outside, sizeof(outside), "%s.kept", top);
	snprintf(link, sizeof(link), "%s/link", top);
	kept = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(kept >= 0);
	close(kept);
	assert_int_equal(symlink(outside, link), 0);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 100; i++) {
		int next;

		assert_int_equal(mkdirat(dir, "moved-0", 0700), 0);
		next = openat(dir, "moved-0",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		assert_int_equal(fchmod(dir, 0), 0);
		close(dir);
		dir = next;
	}
	close(dir);
	assert_int_equal(remove_tree(AT_FDCWD, top), 0);
	assert_int_equal(access(top, F_OK), -1);
	assert_int_equal(access(outside, F_OK), 0);
	assert_int_equal(remove_tree(AT_FDCWD, top), 0); /* it is gone */
	unlink(outside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doors),
		cmocka_unit_test(test_no_doors),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
