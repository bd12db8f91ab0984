#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/file.h"

static void test_write_then_read(void **state)
{
	_cleanup_(buf_deinit) struct buf out = { 0 }, more = { 0 };
	static char big[200000];
	FILE *f = tmpfile();

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(file_write_all(fileno(f), big, sizeof(big)), 0);
	rewind(f);
	assert_int_equal(buf_append_str(&out, "y"), 0);
	assert_int_equal(file_read_all(fileno(f), sizeof(big), &out), 0);
	assert_int_equal(out.len, sizeof(big) + 1);
	assert_memory_equal(out.data + 1, big, sizeof(big));
	rewind(f);
	assert_int_equal(file_read_all(fileno(f), sizeof(big) - 1, &more),
			 -EFBIG);
	assert_int_equal(file_read_all(-1, 1, &more), -EBADF);
	fclose(f);
}

static void test_make_dirs(void **state)
{
	char dir[] = "/tmp/cronium-file-XXXXXX", path[64], part[64];
	char deep[PATH_MAX + 8];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a//b/", dir);
	assert_int_equal(file_make_dirs(path, 0700), 0);
	assert_int_equal(file_make_dirs(path, 0700), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(file_make_dirs("/dev/null/a", 0700), -ENOTDIR);
	memset(deep, 'a', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(file_make_dirs(deep, 0700), -ENAMETOOLONG);
	rmdir(path);
	snprintf(part, sizeof(part), "%s/a", dir);
	rmdir(part);
	rmdir(dir);
}

static void test_replace(void **state)
{
	char dir[] = "/tmp/test-file-XXXXXX", path[64], none[64];
	struct buf text = { 0 };
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(none, sizeof(none), "%s/none/a", dir);
	assert_int_equal(file_replace(path, "one", 3, 0600), 0);
	assert_int_equal(file_replace(path, "two", 3, 0754), 0);
	assert_int_equal(file_replace(none, "x", 1, 0600), -ENOENT);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0754);
	fd = open(path, O_RDONLY);
	assert_int_equal(file_read_all(fd, 10, &text), 0);
	close(fd);
	assert_string_equal(buf_cstr(&text), "two");
	buf_deinit(&text);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* nothing else is left in it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_then_read),
		cmocka_unit_test(test_make_dirs),
		cmocka_unit_test(test_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
