/* Which segments there are, and what is none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/macro.h"
#include "common/wal/alien.h"
#include "common/wal/listing.h"
#include "wal_fixture.h"

static int open_dir(const struct wal_fixture *f)
{
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* As if nothing had happened there for a minute. */
static void grow_old(int dir_fd)
{
	struct timespec times[2] = { { 0 } };

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= 60;
	times[1] = times[0];
	assert_int_equal(futimens(dir_fd, times), 0);
}

static void test_changes_are_seen(void **state)
{
	const struct wal_fixture *f = *state;
	_cleanup_close_ int fd = open_dir(f);
	struct wal_listing l = { 0 };

	assert_int_equal(wal_listing_update(&l, fd), 0);
	assert_int_equal(wal_listing_holds(&l, 9), 0);
	assert_true(wal_listing_after(&l, 0) == UINT64_MAX);
	for (uint64_t first = 1; first <= 9; first += 4) {
		if (first == 5)
			grow_old(fd); /* what is listed then is kept */
		assert_int_equal(wal_listing_update(&l, fd), 0);
		wal_fixture_write(f, first, "", 0);
		assert_int_equal(wal_listing_update(&l, fd), 0);
		assert_int_equal(wal_listing_holds(&l, first), first);
	}
	assert_int_equal(wal_listing_holds(&l, 8), 5);
	assert_int_equal(wal_listing_after(&l, 5), 9);
	assert_int_equal(wal_listing_after(&l, 0), 1);
	wal_listing_deinit(&l);
}

static enum wal_alien_kind judge(const char *name, mode_t mode, off_t size)
{
	const struct stat st = { .st_mode = mode, .st_size = size };

	return wal_alien_judge(name, &st);
}

static void test_what_is_no_file_of_a_log(void **state)
{
	const off_t large = (off_t)WAL_SEGMENT_MAX_BYTES;
	char name[WAL_SEGMENT_NAME_BYTES];

	wal_segment_name(7, name);
	assert_int_equal(judge(name, S_IFREG, large), WAL_ALIEN_NONE);
	assert_int_equal(judge(name, S_IFREG, large + 1), WAL_ALIEN_SIZE);
	assert_int_equal(judge(name, S_IFIFO, 0), WAL_ALIEN_TYPE);
	assert_int_equal(judge("lock", S_IFREG, 0), WAL_ALIEN_NONE);
	assert_int_equal(judge("new", S_IFREG, large + 1), WAL_ALIEN_NONE);
	assert_int_equal(judge("new", S_IFDIR, 0), WAL_ALIEN_TYPE);
	assert_int_equal(judge("7.wal", S_IFREG, 0), WAL_ALIEN_NAME);
	wal_segment_name(0, name);
	assert_int_equal(judge(name, S_IFREG, 0), WAL_ALIEN_NUMBER);
	wal_segment_name(WAL_SEQ_MAX, name);
	assert_int_equal(judge(name, S_IFREG, 0), WAL_ALIEN_NONE);
	wal_segment_name(WAL_SEQ_MAX + 1, name);
	assert_int_equal(judge(name, S_IFREG, 0), WAL_ALIEN_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_changes_are_seen),
		cmocka_unit_test(test_what_is_no_file_of_a_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
