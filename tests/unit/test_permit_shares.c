#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/json.h"
#include "runner/permit_shares.h"

/* base/{ro,rw,rw/dir}/, base/{ro,rw/dir,out}/file, and links beside them. */
#define BASE_BYTES 64

static char base[BASE_BYTES];
static json_t *shares;

static const char *const dirs[] = { "ro", "rw", "rw/dir", "out" };
static const char *const files[] = { "ro/file", "rw/dir/file", "out/file" };
static const char *const links[][2] = {
	{ "rw/in", "dir/file" },     { "rw/up", "../out/file" },
	{ "rw/etc", "/etc/passwd" }, { "rw/other", "../ro/file" },
	{ "rw/away", "../out" },     { "rw/loop", "loop" },
};

static char *under(const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", base, name);
	return out;
}

static int set_up(void **state)
{
	char path[PATH_MAX], other[PATH_MAX];

	snprintf(base, sizeof(base), "/tmp/cronium-p-XXXXXX");
	assert_non_null(mkdtemp(base));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdir(under(dirs[i], path), 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = creat(under(files[i], path), 0644);

		assert_true(fd >= 0);
		close(fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		assert_int_equal(symlink(links[i][1], under(links[i][0], path)),
				 0);
	shares = json_pack("[{s:s,s:b},{s:s,s:b}]", "path", under("ro", path),
			   "write", 0, "path", under("rw", other), "write", 1);
	return shares ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		unlink(under(links[i][0], path));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(under(files[i], path));
	for (size_t i = ARRAY_SIZE(dirs); i--;)
		rmdir(under(dirs[i], path));
	json_decref(shares);
	return rmdir(base);
}

/* Whether name is had, and leads to target; else the error. */
static int open_share(const char *name, const char *target, bool *write)
{
	char path[PATH_MAX], proc[64], real[PATH_MAX] = "", want[PATH_MAX];
	int fd = permit_share_open(shares, under(name, path), write);
	ssize_t n;

	if (fd < 0)
		return fd;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, real, sizeof(real) - 1);
	assert_true(n > 0);
	real[n] = '\0';
	close(fd);
	assert_string_equal(real, under(target, want));
	return 0;
}

static void test_inside(void **state)
{
	static const struct {
		const char *name, *target;
		bool write;
	} cases[] = {
		{ "ro", "ro", false },
		{ "ro/file", "ro/file", false },
		{ "rw", "rw", true },
		{ "rw/dir", "rw/dir", true },
		{ "rw/in", "rw/dir/file", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool write = !cases[i].write;

		assert_int_equal(
			open_share(cases[i].name, cases[i].target, &write), 0);
		assert_int_equal(write, cases[i].write);
	}
}

static void test_outside(void **state)
{
	static const struct {
		const char *name;
		int error;
	} cases[] = {
		{ "out/file", -EXDEV },       { "ro2", -EXDEV },
		{ "rw/up", -EXDEV },          { "rw/etc", -EXDEV },
		{ "rw/away/file", -EXDEV },   { "rw/other", -EXDEV },
		{ "rw/loop", -ELOOP },        { "rw/none", -ENOENT },
		{ "rw/../out/file", -EXDEV },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool write;

		assert_int_equal(open_share(cases[i].name, "", &write),
				 cases[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
