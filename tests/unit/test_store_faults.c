/*
 * What must hold when something breaks: a killed process, a full, failing,
 * read-only or damaged disk, another master key, a waiter that goes away.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
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

#include "store_fixture.h"

/* ---------------------------------------------------------- owners */

static void never(int r, const struct store_result *result, void *ctx)
{
	(void)r;
	(void)result;
	(void)ctx;
	fail_msg("a cancelled callback ran");
}

/* Waits for a write, and so for all that were started before it. */
static void settle(struct store_fixture *f)
{
	struct reply reply;

	assert_int_equal(
		put_variable(f, "settle", "1", STORE_EXPECT_ANY, &reply), 0);
}

static void test_cancelled_owner_hears_nothing(void **state)
{
	struct store_fixture *f = *state;
	struct store_owner owner = { 0 };
	struct store_done done = { .owner = &owner, .fn = never };
	struct store_variable_put put = { .key = "k",
					  .value = STORE_STR("1"),
					  .expect = STORE_EXPECT_ANY };

	for (int i = 0; i < 20; i++) {
		assert_int_equal(store_variable_put(f->store, &put, done), 0);
		assert_int_equal(store_variable_get(f->store, "k", done), 0);
	}
	store_owner_cancel(&owner);
	assert_true(LIST_EMPTY(&owner.calls));
	settle(f);
	assert_string_equal(variable_value(f, "k"), "1");
}

static struct store_owner shared;
static int heard;

static void cancel_the_rest(int r, const struct store_result *result, void *ctx)
{
	(void)r;
	(void)result;
	(void)ctx;
	heard++;
	store_owner_cancel(&shared);
}

static void test_cancel_from_a_callback(void **state)
{
	struct store_fixture *f = *state;
	struct store_done done = { .owner = &shared, .fn = cancel_the_rest };
	struct store_variable_put put = { .key = "k",
					  .value = STORE_STR("1"),
					  .expect = STORE_EXPECT_ANY };

	for (int i = 0; i < 10; i++)
		assert_int_equal(store_variable_put(f->store, &put, done), 0);
	settle(f);
	assert_string_equal(variable_value(f, "k"), "1");
	assert_int_equal(heard, 1);
}

static void test_close_commits_what_is_queued(void **state)
{
	struct store_fixture *f = *state;
	struct store_owner owner = { 0 };
	struct store_done done = { .owner = &owner, .fn = never };
	struct store_variable_increment inc = { .key = "n", .by = "1" };

	for (int i = 0; i < 50; i++)
		assert_int_equal(store_variable_increment(f->store, &inc, done),
				 0);
	store_fixture_close(f);
	assert_true(LIST_EMPTY(&owner.calls));
	store_fixture_open(f);
	assert_string_equal(variable_value(f, "n"), "50");
}

/* ---------------------------------------------------------- keys, files */

static struct vault *other_vault(void)
{
	uint8_t key[VAULT_KEY_BYTES] = { 42 };
	struct vault *v;

	assert_int_equal(vault_new(&v, key), 0);
	return v;
}

static void test_another_master_key_is_refused(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put put = { .key = "k",
					  .value = STORE_STR("\"abc\""),
					  .secret = STORE_SECRET_ON,
					  .expect = STORE_EXPECT_ANY };
	struct vault *right = f->vault;
	struct reply reply;
	char err[512];

	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &put), 0);
	store_fixture_close(f);
	f->vault = other_vault();
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)),
			 -EKEYREJECTED);
	assert_non_null(strstr(err, "1 secrets that were encrypted with "
				    "another master key"));
	vault_free(f->vault);
	f->vault = right;
	store_fixture_open(f);
	assert_string_equal(variable_value(f, "k"), "\"abc\"");
}

static void test_new_master_key_where_nothing_is_sealed(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply);
	store_fixture_close(f);
	vault_free(f->vault);
	f->vault = other_vault();
	store_fixture_open(f);
	assert_string_equal(variable_value(f, "k"), "1");
}

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

static void test_a_newer_schema_is_refused(void **state)
{
	struct store_fixture *f = *state;
	sqlite3 *db;
	char path[128], err[512];

	store_fixture_close(f);
	snprintf(path, sizeof(path), "%s/cronium.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)), -EPROTO);
	assert_non_null(strstr(err, "newer Cronium (schema 999"));
}

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

/* ---------------------------------------------------------- kill -9 */

/* One acknowledgement, as the child writes it: atomic in a pipe. */
struct ack {
	bool job;
	int n;
};

struct killed {
	struct store_fixture *f;
	int pipe;
	int next;
};

static void kill_start_next(struct killed *k);

static void on_ack(int r, const struct store_result *result, void *ctx)
{
	struct killed *k = ctx;
	struct ack ack = { .job = result->job.id != NULL };
	const char *name = ack.job ? result->job.id : result->variable.key;

	if (r)
		_exit(3);
	ack.n = atoi(strchr(name, '_') + 1);
	if (write(k->pipe, &ack, sizeof(ack)) != sizeof(ack))
		_exit(4);
	kill_start_next(k);
}

static void kill_start_next(struct killed *k)
{
	struct store_done done = { .fn = on_ack, .ctx = k };
	int n = k->next++;
	char name[32], value[32];
	int r;

	snprintf(value, sizeof(value), "%d", n);
	snprintf(name, sizeof(name), "%s_%d", n % 2 ? "job" : "k", n);
	if (n % 2) {
		struct store_job_new job = { .id = name,
					     .name = "a",
					     .runtime = "bash",
					     .executor = "auto",
					     .script = STORE_STR(value) };

		r = store_job_submit(k->f->store, &job, done);
	} else {
		struct store_variable_put put = { .key = name,
						  .value = STORE_STR(value),
						  .secret = STORE_SECRET_ON,
						  .expect = -1 };

		r = store_variable_put(k->f->store, &put, done);
	}
	if (r)
		_exit(5);
}

static void killed_child(struct store_fixture *f, int fd, int first)
{
	struct killed k = { .f = f, .pipe = fd, .next = first };
	char err[512];

	if (store_fixture_try_open(f, err, sizeof(err)) < 0)
		_exit(1);
	for (int i = 0; i < 16; i++)
		kill_start_next(&k);
	event_base_dispatch(f->base);
	_exit(2);
}

static void check_ack(struct store_fixture *f, const struct ack *ack)
{
	struct reply reply;
	char name[32], value[32];

	snprintf(value, sizeof(value), "%d", ack->n);
	snprintf(name, sizeof(name), "%s_%d", ack->job ? "job" : "k", ack->n);
	if (!ack->job) {
		assert_string_equal(variable_value(f, name), value);
		return;
	}
	assert_int_equal(
		STORE_WAIT(f, &reply, store_job_read, name, STORE_SCRIPT), 0);
	assert_string_equal(reply.result.blob.data, value);
}

static void kill_round(struct store_fixture *f, int first, size_t n_wait)
{
	struct ack *acks = calloc(200000, sizeof(*acks));
	size_t n = 0;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (!child) {
		close(fds[0]);
		event_reinit(f->base);
		killed_child(f, fds[1], first);
	}
	close(fds[1]);
	while (read(fds[0], &acks[n], sizeof(*acks)) == sizeof(*acks))
		if (++n == n_wait)
			kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(n >= n_wait);
	close(fds[0]);
	store_fixture_open(f);
	for (size_t i = 0; i < n; i++)
		check_ack(f, &acks[i]);
	check_changes(f);
	store_fixture_close(f);
	free(acks);
}

static void test_killed_process_loses_nothing_acknowledged(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_close(f);
	for (int i = 0; i < 6; i++)
		kill_round(f, i * 1000000, 20 + (size_t)i * 97);
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

/* ---------------------------------------------------------- memory, load */

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
	sqlite3_hard_heap_limit64(0);
	assert_string_equal(variable_value(f, "k"), "1");
	assert_int_equal(put_variable(f, "k", "3", STORE_EXPECT_ANY, &reply),
			 0);
	assert_int_equal(submit_job(f, "job_1"), 0);
	check_changes(f);
}

static void count_done(int r, const struct store_result *result, void *ctx)
{
	size_t *n = ctx;

	(void)result;
	assert_int_equal(r, 0);
	++*n;
}

/* Many waiters of which some go away: the others all hear, once each. */
static void test_many_owners_come_and_go(void **state)
{
	enum { OWNERS = 64, ROUNDS = 30 };
	struct store_fixture *f = *state;
	struct store_owner owners[OWNERS] = { 0 };
	size_t heard_of[OWNERS] = { 0 };
	size_t dropped = 0;

	srand(1);
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < OWNERS; i++) {
			struct store_variable_increment inc = { .key = "n",
								.by = "1" };
			struct store_done done = { &owners[i], count_done,
						   &heard_of[i] };

			assert_int_equal(store_variable_increment(f->store,
								  &inc, done),
					 0);
			if (rand() % 5 == 0) {
				store_owner_cancel(&owners[rand() % OWNERS]);
				dropped++;
			}
			if (rand() % 7 == 0)
				event_base_loop(f->base, EVLOOP_NONBLOCK);
		}
	settle(f);
	assert_true(dropped > 0);
	for (int i = 0; i < OWNERS; i++) {
		assert_true(LIST_EMPTY(&owners[i].calls));
		assert_true(heard_of[i] <= ROUNDS);
	}
	assert_string_equal(variable_value(f, "n"), "1920");
	check_changes(f);
}

static void test_full_queue_is_refused(void **state)
{
	static char big[1024 * 1024];
	struct store_fixture *f = *state;
	struct store_variable_put put = { .key = "k",
					  .value = { big, sizeof(big) },
					  .expect = 1 };
	struct store_done none = { 0 };
	int r = 0, n = 0;

	while (r == 0 && n++ < 1000)
		r = store_variable_put(f->store, &put, none);
	assert_int_equal(r, -EAGAIN);
	assert_in_range(n, 250, 260);
	while (store_variable_put(f->store, &put, none) == -EAGAIN)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
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
		T(test_cancelled_owner_hears_nothing),
		T(test_cancel_from_a_callback),
		T(test_close_commits_what_is_queued),
		T(test_another_master_key_is_refused),
		T(test_new_master_key_where_nothing_is_sealed),
		T(test_files_are_private),
		T(test_a_newer_schema_is_refused),
		T(test_damaged_database),
		T(test_damage_while_it_runs),
		T(test_killed_process_loses_nothing_acknowledged),
		T(test_full_and_read_only_disk),
		T(test_out_of_memory),
		T(test_many_owners_come_and_go),
		T(test_full_queue_is_refused),
		T(test_failed_sync_stops_acknowledging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
