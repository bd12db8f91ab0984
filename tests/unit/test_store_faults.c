/*
 * What must hold when something breaks, whatever the database is: a killed
 * process, another master key, a waiter that goes away.
 */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_variable.h"
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
	/* Outlives this function, also where it is left half-way. */
	static struct store_owner owner;
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
	static struct store_owner owner;
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

/* ---------------------------------------------------------- keys, schema */

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

static void test_a_newer_schema_is_refused(void **state)
{
	struct store_fixture *f = *state;
	char err[512];

	store_fixture_close(f);
	store_fixture_sql(f, *f->url ? "UPDATE schema_version SET version = 999"
				     : "PRAGMA user_version = 999");
	assert_int_equal(store_fixture_try_open(f, err, sizeof(err)), -EPROTO);
	assert_non_null(strstr(err, "newer Cronium (schema 999"));
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

/* ---------------------------------------------------------- load */

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
	static struct store_owner owners[OWNERS];
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
		T(test_a_newer_schema_is_refused),
		T(test_killed_process_loses_nothing_acknowledged),
		T(test_many_owners_come_and_go),
		T(test_full_queue_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
