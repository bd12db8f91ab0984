#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "payload/path.h"
#include "payload/read.h"

static void assert_why(const char *why, const char *want)
{
	if (!why || !strstr(why, want))
		fail_msg("\"%s\" does not say \"%s\"", why ? why : "fine",
			 want);
}

static void test_good_paths(void **state)
{
	static const char *const good[] = {
		"a",   "a/b", ".hidden", "..a",  "a..", "...",
		"a b", "é/ü", "-x",      "a\\b", "~",   "C:",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(path_check(good[i]));
}

static void test_bad_paths(void **state)
{
	static const struct {
		const char *path, *why;
	} bad[] = {
		{ "", "is empty" },       { "/", "is absolute" },
		{ "/a", "is absolute" },  { ".", "\".\"" },
		{ "./a", "\".\"" },       { "a/.", "\".\"" },
		{ "..", "\"..\"" },       { "../a", "\"..\"" },
		{ "a/..", "\"..\"" },     { "a/../b", "\"..\"" },
		{ "a/", "an empty" },     { "a//b", "an empty" },
		{ "a\n", "control" },     { "a\x7f", "control" },
		{ "a\x1b/b", "control" }, { "\xff", "UTF-8" },
		{ "\xc0\xaf", "UTF-8" },  { "a/\xed\xa0\x80", "UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_why(path_check(bad[i].path), bad[i].why);
}

static void test_limits_of_a_path(void **state)
{
	char path[PAYLOAD_PATH_MAX_BYTES + 2];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[PAYLOAD_NAME_MAX_BYTES] = '\0';
	assert_null(path_check(path));
	path[PAYLOAD_NAME_MAX_BYTES] = 'a';
	path[PAYLOAD_NAME_MAX_BYTES + 1] = '\0';
	assert_why(path_check(path), "a component of more than 255 bytes");
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 200 == 199 ? '/' : 'a';
	path[PAYLOAD_PATH_MAX_BYTES] = '\0';
	assert_null(path_check(path));
	path[PAYLOAD_PATH_MAX_BYTES] = 'a';
	path[PAYLOAD_PATH_MAX_BYTES + 1] = '\0';
	assert_why(path_check(path), "more than 1024 bytes");
	for (size_t i = 0; i < 2 * PAYLOAD_DEPTH_MAX + 1; i++)
		path[i] = i % 2 ? '/' : 'a';
	path[2 * PAYLOAD_DEPTH_MAX + 1] = '\0';
	assert_why(path_check(path), "more than 32 components");
	path[2 * PAYLOAD_DEPTH_MAX - 1] = '\0';
	assert_null(path_check(path));
}

static void test_shows_what_is_printable(void **state)
{
	char out[PATH_SHOWN_MAX_BYTES], longer[4 * PATH_SHOWN_MAX_BYTES];

	(void)state;
	assert_string_equal(path_show("a/b", out), "a/b");
	assert_string_equal(path_show("a\n\x1b[2J\xff", out),
			    "a\\x0a\\x1b[2J\\xff");
	memset(longer, '\n', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	path_show(longer, out);
	assert_true(strlen(out) < sizeof(out));
	assert_string_equal(out + strlen(out) - strlen("…"), "…");
}

static void assert_takes(struct path_set *set, const char *path, bool directory)
{
	const char *why = NULL;

	if (path_set_add(set, path, directory, &why))
		fail_msg("%s: %s", path, why ? why : "?");
}

static void assert_leaves(struct path_set *set, const char *path,
			  bool directory, const char *want)
{
	const char *why = NULL;

	assert_int_equal(path_set_add(set, path, directory, &why),
			 PATH_E_REFUSED);
	assert_why(why, want);
}

static void test_a_set_of_paths(void **state)
{
	struct path_set set = { 0 };

	(void)state;
	assert_takes(&set, "a", false);
	assert_takes(&set, "aa", false);
	assert_takes(&set, "d/a", false);
	assert_takes(&set, "d/e/a", false);
	assert_takes(&set, "d", true); /* late, but once */
	assert_takes(&set, "d/b", false);
	assert_leaves(&set, "d", true, "there twice");
	assert_leaves(&set, "d", false, "there twice");
	assert_leaves(&set, "d/e", false, "a directory of this path");
	assert_leaves(&set, "a", false, "there twice");
	assert_leaves(&set, "a", true, "there twice");
	assert_leaves(&set, "a/b", false, "is a file");
	assert_leaves(&set, "d/a/b/c", true, "is a file");
	path_set_deinit(&set);
}

static void test_a_set_is_bounded(void **state)
{
	struct path_set set = { 0 };
	char path[64];

	(void)state;
	for (int i = 0; i < PAYLOAD_ENTRIES_MAX / 2; i++) {
		snprintf(path, sizeof(path), "d%d/f", i);
		assert_takes(&set, path, false);
	}
	assert_leaves(&set, "more", false, "more than 10000 files");
	path_set_deinit(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_paths),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_limits_of_a_path),
		cmocka_unit_test(test_shows_what_is_printable),
		cmocka_unit_test(test_a_set_of_paths),
		cmocka_unit_test(test_a_set_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
