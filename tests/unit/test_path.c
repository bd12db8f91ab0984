#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/macro.h"
#include "common/path.h"

static void test_path_normal(void **state)
{
	static const char *const cases[][2] = {
		{ "/", "/" },
		{ "/a//b/./c/", "/a/b/c" },
		{ "/a/../b", "/b" },
		{ "/a/b/../../..", "/" },
		{ "/../../etc/passwd", "/etc/passwd" },
		{ "/a/...", "/a/..." },
		{ "/a/..b/.c", "/a/..b/.c" },
		{ "/..", "/" },
		{ "/a/..", "/" },
		{ "/ab/..", "/" },
	};
	char out[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(path_normal(cases[i][0], out));
		assert_string_equal(out, cases[i][1]);
	}
	assert_false(path_normal("a/b", out));
	assert_false(path_normal("", out));
	assert_false(path_normal("../x", out));
}

static void test_climbs(void **state)
{
	assert_true(path_climbs("/a/../b"));
	assert_true(path_climbs("/.."));
	assert_true(path_climbs("..//"));
	assert_false(path_climbs("/a/.../..b/b.."));
	assert_false(path_climbs("/"));
	assert_false(path_climbs(""));
}

static void test_covers(void **state)
{
	assert_true(path_covers("/a", "/a"));
	assert_true(path_covers("/a", "/a/b"));
	assert_false(path_covers("/a", "/ab"));
	assert_false(path_covers("/a/b", "/a"));
	assert_true(path_covers("/", "/a"));
	assert_true(path_covers("/", "/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_normal),
		cmocka_unit_test(test_climbs),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
