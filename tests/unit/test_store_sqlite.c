/*
 * What is SQLite's own: its file, and what must hold when the disk is full,
 * failing, read-only or damaged, or when memory runs out.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_sql_placement.h"
#include "backend/store_stream.h"
#include "backend/store_variable.h"
#include "common/buf.h"
#include "store_fixture.h"

/* ---------------------------------------------------------- the file */

static void test_files_are_private(void **state)
{
	static const char *const names[] = { "cronium.db", "cronium.db-wal",
					     "cronium.db-shm" };
	struct store_fixture *f = *state;
	struct reply reply;
	struct stat st;
	char path[128];

	put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

/* However many wait for others, the next job is found by its index. */
static void test_claims_are_searched_by_index(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_(buf_deinit) struct buf sql = { 0 };
	sqlite3_stmt *row;
	char path[128];
	sqlite3 *db;
	int n = 0;

	snprintf(path, sizeof(path), "%s/cronium.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(buf_printf(&sql, "EXPLAIN QUERY PLAN %s",
				    sql_placement_search.text[DB_SQLITE]),
			 0);
	assert_int_equal(sqlite3_prepare_v2(db, buf_cstr(&sql), -1, &row, NULL),
			 SQLITE_OK);
	while (sqlite3_step(row) == SQLITE_ROW) {
		const char *plan = (const char *)sqlite3_column_text(row, 3);

		assert_null(strstr(plan, "SCAN"));
		assert_null(strstr(plan, "TEMP B-TREE"));
		n += strstr(plan, "SEARCH j USING INDEX jobs_queue "
				  "(placement=?)") != NULL;
	}
	assert_int_equal(n, 2); /* for the turn, and for the seq */
	sqlite3_finalize(row);
	sqlite3_close(db);
}

/* ---------------------------------------------------------- damage */

/* Overwrites all but the first page: the schema stays readable. */
static void damage(const char *path)
{
	int fd = open(path, O_RDWR);
	struct stat st;
	char noise[4096];

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	memset(noise, 0xa5, sizeof(noise));
	for (off_t at = 4096; at < st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, noise, 4096, at), 4096);
	close(fd);
}

static void test_damaged_database(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	char path[128], err[512] = "";

	submit_job(f, "job_1");
	put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply);
	store_fixture_close(f);
	snprintf(path, sizeof(path), "%s/cronium.db", f->dir);
	damage(path);
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)), -EIO);
	assert_non_null(strstr(err, "the database is damaged"));
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)), -EIO);
	assert_non_null(strstr(err, "the database is damaged"));
}

static void test_damage_while_it_runs(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	char path[128];

	for (int i = 0; i < 10; i++) {
		char id[16];

		snprintf(id, sizeof(id), "job_%d", i);
		assert_int_equal(submit_job(f, id), 0);
	}
	store_fixture_close(f);
	store_fixture_open(f);
	snprintf(path, sizeof(path), "%s/cronium.db", f->dir);
	damage(path);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_5"), -EIO);
	assert_non_null(strstr(reply.result.message, "is damaged"));
	assert_true(submit_job(f, "job_99") < 0);
}

/* ---------------------------------------------------------- full disk */

static int put_big(struct store_fixture *f, const char *key, size_t len,
		   struct reply *reply)
{
	char *value = malloc(len);
	struct store_variable_put put = { .key = key,
					  .value = { value, len },
					  .expect = STORE_EXPECT_ANY };
	int r;

	memset(value, '1', len);
	r = STORE_WAIT(f, reply, store_variable_put, &put);
	free(value);
	return r;
}

static void fill_disk(struct store_fixture *f)
{
	struct reply reply;
	char key[16];
	int r = 0, n = 0;

	while (r == 0 && n < 1000) {
		snprintf(key, sizeof(key), "k%d", n++);
		r = put_big(f, key, 100000, &reply);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(reply.result.message, "the disk is full"));
	assert_null(variable_value(f, key));
	for (int i = 0; i < n - 1; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_non_null(variable_value(f, key));
	}
}

/* In the middle of a batch: the small ones are stored, the big one is not. */
static void mixed_batch(struct store_fixture *f)
{
	static char big[8000000];
	struct store_variable_put put = { .key = "big",
					  .value = { big, sizeof(big) },
					  .expect = STORE_EXPECT_ANY };
	struct store_variable_increment inc = { .key = "n", .by = "1" };
	struct reply a, b, c;

	assert_int_equal(store_variable_increment(
				 f->store, &inc,
				 STORE_DONE(f, &a, store_variable_increment)),
			 0);
	assert_int_equal(store_variable_put(f->store, &put,
					    STORE_DONE(f, &b,
						       store_variable_put)),
			 0);
	assert_int_equal(store_variable_increment(
				 f->store, &inc,
				 STORE_DONE(f, &c, store_variable_increment)),
			 0);
	assert_int_equal(store_fixture_wait(&a), 0);
	assert_int_equal(store_fixture_wait(&b), -ENOSPC);
	assert_int_equal(store_fixture_wait(&c), 0);
	assert_string_equal(variable_value(f, "n"), "2");
	check_changes(f);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Mounts of its own; for others than root in a user namespace. */
static void unshare_mounts(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[64];

	if (!uid) {
		assert_int_equal(unshare(CLONE_NEWNS), 0);
		return;
	}
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWUSER), 0);
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	write_text("/proc/self/gid_map", map);
}

/* A private file system of 4 MB on the fixture's directory. */
static void mount_small(const char *dir)
{
	unshare_mounts();
	assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL),
			 0);
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=4m"), 0);
}

static void small_disk(struct store_fixture *f)
{
	char ballast[128], err[512];
	struct reply reply;
	int fd;

	mount_small(f->dir);
	snprintf(ballast, sizeof(ballast), "%s/ballast", f->dir);
	fd = open(ballast, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 1000000), 0);
	store_fixture_open(f);
	mixed_batch(f);
	fill_disk(f);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_equal(put_big(f, "after", 1000, &reply), 0);
	check_changes(f);
	store_fixture_close(f);

	assert_int_equal(mount("none", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY,
			       NULL),
			 0);
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)), -EROFS);
	assert_non_null(strstr(err, "Read-only file system"));
}

static void test_full_and_read_only_disk(void **state)
{
	struct store_fixture *f = *state;
	int status;
	pid_t child;

	store_fixture_close(f);
	child = fork();
	if (!child) {
		event_reinit(f->base);
		small_disk(f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---------------------------------------------------------- memory */

static void test_out_of_memory(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply),
			 0);
	sqlite3_hard_heap_limit64(1);
	assert_int_equal(put_variable(f, "k", "2", STORE_EXPECT_ANY, &reply),
			 -ENOMEM);
	assert_int_equal(submit_job(f, "job_1"), -ENOMEM);
	assert_int_equal(STORE_WAIT0(f, &reply, store_stream_sweep), -ENOMEM);
	sqlite3_hard_heap_limit64(0);
	assert_string_equal(variable_value(f, "k"), "1");
	assert_int_equal(put_variable(f, "k", "3", STORE_EXPECT_ANY, &reply),
			 0);
	assert_int_equal(submit_job(f, "job_1"), 0);
	check_changes(f);
}

/* ---------------------------------------------------------- failing disk */

/* The system's VFS, but syncs fail when told to. The database and its
 * write-ahead log have methods of their own. */
#define FAILING_KINDS_MAX 4

static sqlite3_vfs failing_vfs;
static sqlite3_vfs *real_vfs;
static struct {
	const sqlite3_io_methods *real;
	sqlite3_io_methods failing;
} failing_kinds[FAILING_KINDS_MAX];
static volatile bool sync_fails;

static int failing_sync(sqlite3_file *file, int flags)
{
	for (size_t i = 0; i < FAILING_KINDS_MAX && !sync_fails; i++)
		if (file->pMethods == &failing_kinds[i].failing)
			return failing_kinds[i].real->xSync(file, flags);
	return SQLITE_IOERR_FSYNC;
}

static int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file,
			int flags, int *out)
{
	int code = real_vfs->xOpen(real_vfs, name, file, flags, out);
	size_t i = 0;

	(void)vfs;
	if (code != SQLITE_OK)
		return code;
	while (i < FAILING_KINDS_MAX - 1 && failing_kinds[i].real &&
	       failing_kinds[i].real != file->pMethods)
		i++;
	failing_kinds[i].real = file->pMethods;
	failing_kinds[i].failing = *file->pMethods;
	failing_kinds[i].failing.xSync = failing_sync;
	file->pMethods = &failing_kinds[i].failing;
	return code;
}

static void test_failed_sync_stops_acknowledging(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	store_fixture_close(f);
	real_vfs = sqlite3_vfs_find(NULL);
	failing_vfs = *real_vfs;
	failing_vfs.zName = "failing";
	failing_vfs.xOpen = failing_open;
	assert_int_equal(sqlite3_vfs_register(&failing_vfs, 1), SQLITE_OK);
	store_fixture_open(f);
	assert_int_equal(put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply),
			 0);
	sync_fails = true;
	assert_int_equal(put_variable(f, "k", "2", STORE_EXPECT_ANY, &reply),
			 -EIO);
	assert_non_null(strstr(reply.result.message, "the disk fail"));
	sync_fails = false;
	assert_int_equal(put_variable(f, "k", "3", STORE_EXPECT_ANY, &reply),
			 -EIO);
	assert_non_null(strstr(reply.result.message, "restart the backend"));
	store_fixture_close(f);
	sqlite3_vfs_register(real_vfs, 1);
	sqlite3_vfs_unregister(&failing_vfs);
	store_fixture_open(f);
	assert_int_equal(put_variable(f, "k", "4", STORE_EXPECT_ANY, &reply),
			 0);
	assert_string_equal(variable_value(f, "k"), "4");
	check_changes(f);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_files_are_private),
		T(test_claims_are_searched_by_index),
		T(test_damaged_database),
		T(test_damage_while_it_runs),
		T(test_full_and_read_only_disk),
		T(test_out_of_memory),
		T(test_failed_sync_stops_acknowledging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
