/*
 * What is PostgreSQL's own: several stores on one database, connections that
 * are lost. CRONIUM_TEST_STORE names the server.
 */
#include <errno.h>
#include <event2/event.h>
#include <libpq-fe.h>
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

#include "backend/db_postgres_impl.h"
#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "backend/store_url.h"
#include "backend/store_variable.h"
#include "common/clock.h"
#include "store_fixture.h"

/* ---------------------------------------------------------- two stores */

enum { JOBS = 100, CLAIMS = 80, INCREMENTS = 300 };

struct tally {
	int under_way, done, failed;
	int claimed[JOBS];
};

static void wait_for(struct store_fixture *f, const int *under_way)
{
	while (*under_way)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

static void on_claim(int r, const struct store_result *result, void *ctx)
{
	struct tally *t = ctx;

	t->under_way--;
	if (r == STORE_E_NOT_FOUND)
		return;
	assert_int_equal(r, 0);
	t->done++;
	t->claimed[atoi(result->job.id + strlen("job_"))]++;
}

static void start_claims(struct store_fixture *f, struct tally *t, int who)
{
	static int n;

	for (int i = 0; i < CLAIMS; i++) {
		char id[32];
		struct store_claim claim = { .execution = id,
					     .agent = who ? "two" : "one",
					     .executors = "sandbox",
					     .lease_ms = 30000 };

		snprintf(id, sizeof(id), "ex_%d", n++);
		t->under_way++;
		assert_int_equal(store_queue_claim(f->store, &claim,
						   (struct store_done){
							   .fn = on_claim,
							   .ctx = t }),
				 0);
	}
}

static void test_no_job_is_claimed_twice(void **state)
{
	struct store_fixture *f = *state, second;
	struct tally t = { 0 };

	for (int i = 0; i < JOBS; i++) {
		char id[32];

		snprintf(id, sizeof(id), "job_%d", i);
		assert_int_equal(submit_job(f, id), 0);
	}
	store_fixture_open_second(f, &second);
	/* Who finds only jobs that another one is about to claim finds none:
	 * so until there are none. */
	for (int round = 0; t.done < JOBS && round < 20; round++) {
		start_claims(f, &t, 0);
		start_claims(&second, &t, 1);
		wait_for(f, &t.under_way);
	}
	assert_int_equal(t.done, JOBS);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(t.claimed[i], 1);
	assert_int_equal(store_fixture_sql(f, "SELECT n FROM job_counts "
					      "WHERE state = 1"),
			 JOBS);
	assert_int_equal(store_fixture_sql(f, "SELECT n FROM job_counts "
					      "WHERE state = 0"),
			 0);
	store_fixture_close_second(&second);
}

static void on_increment(int r, const struct store_result *result, void *ctx)
{
	struct tally *t = ctx;

	t->under_way--;
	if (r == 0)
		t->done++;
	else
		t->failed++;
	assert_true(r != 0 || result->variable.version > 0);
}

static void start_increments(struct store_fixture *f, struct tally *t, int n)
{
	for (int i = 0; i < n; i++) {
		struct store_variable_increment inc = { .key = "n", .by = "1" };

		t->under_way++;
		assert_int_equal(
			store_variable_increment(f->store, &inc,
						 (struct store_done){
							 .fn = on_increment,
							 .ctx = t }),
			0);
	}
}

static void test_increments_add_up(void **state)
{
	struct store_fixture *f = *state, second;
	struct tally t = { 0 };
	char sum[16];

	store_fixture_open_second(f, &second);
	for (int i = 0; i < 10; i++) {
		start_increments(f, &t, INCREMENTS / 10);
		start_increments(&second, &t, INCREMENTS / 10);
	}
	wait_for(f, &t.under_way);
	assert_int_equal(t.failed, 0);
	snprintf(sum, sizeof(sum), "%d", 2 * INCREMENTS);
	assert_string_equal(variable_value(f, "n"), sum);
	assert_string_equal(variable_value(&second, "n"), sum);
	check_changes(&second);
	store_fixture_close_second(&second);
}

static void on_cancel(int r, const struct store_result *result, void *ctx)
{
	struct tally *t = ctx;

	(void)result;
	t->under_way--;
	t->done += r == 0;
	t->failed += r < 0;
}

static void start_cancel(struct store_fixture *f, struct tally *t, int job)
{
	char id[32];
	struct store_job_cancel cancel = { .job = id };

	snprintf(id, sizeof(id), "job_%d", job);
	t->under_way++;
	assert_int_equal(store_job_cancel(f->store, &cancel,
					  (struct store_done){ .fn = on_cancel,
							       .ctx = t }),
			 0);
}

/* Batches that lock the same rows the other way round. */
static void test_opposite_orders(void **state)
{
	enum { N = 40 };
	struct store_fixture *f = *state, second;
	struct tally t = { 0 };

	for (int i = 0; i < N; i++) {
		char id[32];

		snprintf(id, sizeof(id), "job_%d", i);
		assert_int_equal(submit_job(f, id), 0);
	}
	store_fixture_open_second(f, &second);
	for (int i = 0; i < N; i++) {
		start_cancel(f, &t, i);
		start_cancel(&second, &t, N - 1 - i);
	}
	wait_for(f, &t.under_way);
	assert_int_equal(t.failed, 0);
	assert_int_equal(t.done, N); /* the others heard: it has ended */
	store_fixture_close_second(&second);
}

/* ---------------------------------------------------------- in the way */

static PGconn *connect_beside(struct store_fixture *f, const char *sql)
{
	PGconn *link = PQconnectdb(getenv("CRONIUM_TEST_STORE"));
	char text[512];

	assert_int_equal(PQstatus(link), CONNECTION_OK);
	snprintf(text, sizeof(text), "SET search_path TO %s; %s", f->schema,
		 sql);
	PQclear(PQexec(link, text));
	assert_int_equal(PQtransactionStatus(link), PQTRANS_INTRANS);
	return link;
}

static void on_release(evutil_socket_t fd, short what, void *ctx)
{
	PGconn *link = ctx;

	(void)fd;
	(void)what;
	PQclear(PQexec(link, "ROLLBACK"));
}

/* Longer than a lock is waited for: it is tried again, and others are not held
 * up for good. */
static void test_a_lock_is_waited_for(void **state)
{
	const struct timeval later = { .tv_sec = 1, .tv_usec = 200000 };
	struct store_fixture *f = *state;
	uint64_t start_ms = clock_mono_ms();
	struct tally t = { 0 };
	PGconn *link;

	assert_int_equal(submit_job(f, "job_1"), 0);
	link = connect_beside(f, "BEGIN; SELECT 1 FROM jobs FOR UPDATE");
	assert_int_equal(event_base_once(f->base, -1, EV_TIMEOUT, on_release,
					 link, &later),
			 0);
	start_cancel(f, &t, 1);
	wait_for(f, &t.under_way);
	assert_int_equal(t.done, 1);
	assert_true(clock_mono_ms() - start_ms >= 1200);
	PQfinish(link);
}

static void test_two_make_the_schema_at_once(void **state)
{
	enum { N = 4 };
	struct store_fixture *f = *state;
	pid_t children[N];
	char err[512];

	store_fixture_close(f);
	snprintf(f->schema + strlen(f->schema), 8, "_new");
	snprintf(f->url + strlen(f->url), 8, "_new");
	for (int i = 0; i < N; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		event_reinit(f->base);
		if (store_fixture_try_open(f, err, sizeof(err)) == 0)
			_exit(0);
		fprintf(stderr, "%s\n", err);
		_exit(1);
	}
	for (int i = 0; i < N; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	store_fixture_open(f);
	assert_int_equal(submit_job(f, "job_1"), 0);
}

/* ---------------------------------------------------------- lost */

#define END_SESSIONS(role)                                           \
	"SELECT count(pg_terminate_backend(pid)) FROM "              \
	"pg_stat_activity a JOIN writers w ON a.application_name = " \
	"w.instance || ' " role "'"

/* Each of them is there once or said to have failed. */
static void test_killed_sessions(void **state)
{
	enum { ROUNDS = 40, N = 25 };
	struct store_fixture *f = *state;
	struct tally t = { 0 };
	int64_t ended = 0;
	char sum[16];

	for (int round = 0; round < ROUNDS; round++) {
		int before = t.done;

		start_increments(f, &t, N);
		usleep((useconds_t)(random() % 5000));
		ended += store_fixture_sql(f, END_SESSIONS("writer"));
		while (t.under_way && t.done == before)
			assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE),
					 0);
	}
	wait_for(f, &t.under_way);
	assert_true(ended > ROUNDS / 4);
	assert_int_equal(t.done + t.failed, ROUNDS * N);
	assert_int_equal(t.failed, 0);
	snprintf(sum, sizeof(sum), "%d", t.done);
	assert_string_equal(variable_value(f, "n"), sum);
	check_changes(f);
}

/* Starts an increment, whose COMMIT is made to take its time. */
static void start_slow_commit(struct store_fixture *f, struct store_done done)
{
	struct store_variable_increment inc = { .key = "n", .by = "1" };

	store_fixture_sql(
		f, "CREATE FUNCTION slowly() RETURNS TRIGGER LANGUAGE plpgsql "
		   "AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; "
		   "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT OR UPDATE ON "
		   "variables DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
		   "EXECUTE FUNCTION slowly()");
	assert_int_equal(store_variable_increment(f->store, &inc, done), 0);
	while (!store_fixture_sql(
		f, "SELECT count(*) FROM pg_stat_activity a JOIN writers w "
		   "ON a.application_name = w.instance || ' writer' "
		   "WHERE wait_event = 'PgSleep' AND query = 'COMMIT'"))
		;
}

static void test_killed_while_it_commits(void **state)
{
	struct store_fixture *f = *state;
	struct tally t = { .under_way = 1 };

	start_slow_commit(f,
			  (struct store_done){ .fn = on_increment, .ctx = &t });
	assert_int_equal(store_fixture_sql(f, END_SESSIONS("writer")), 1);
	wait_for(f, &t.under_way);
	assert_int_equal(t.done, 1);
	assert_string_equal(variable_value(f, "n"), "1");
}

static void on_unknown(int r, const struct store_result *result, void *ctx)
{
	struct tally *t = ctx;

	t->under_way--;
	assert_int_equal(r, -EINPROGRESS);
	assert_non_null(strstr(result->message, "the outcome is unknown"));
}

/* A user of its own, who may log in or not. */
static void role(struct store_fixture *f, const char *verb, const char *how)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "%s %s %s", verb, f->schema, how);
	store_fixture_sql(f, sql);
}

/* Nobody can be asked what became of it: that is what is said. */
static void test_an_unknown_outcome(void **state)
{
	const struct postgres_limits limits = postgres_limits;
	struct store_fixture *f = *state, second;
	struct tally t = { .under_way = 1 };

	role(f, "CREATE ROLE", "SUPERUSER LOGIN");
	second = *f;
	snprintf(second.url + strlen(second.url), 96, "&user=%s", f->schema);
	store_fixture_close(f);
	store_fixture_open_second(&second, &second);
	postgres_limits.away_ms = postgres_limits.resolve_ms = 300;
	start_slow_commit(&second,
			  (struct store_done){ .fn = on_unknown, .ctx = &t });
	role(f, "ALTER ROLE", "NOLOGIN");
	assert_int_equal(store_fixture_sql(f, END_SESSIONS("writer")), 1);
	wait_for(f, &t.under_way);
	role(f, "ALTER ROLE", "LOGIN");
	postgres_limits = limits;
	store_fixture_close_second(&second);
	store_fixture_open(f);
	assert_null(variable_value(f, "n"));
	role(f, "REASSIGN OWNED BY", "TO CURRENT_USER");
	role(f, "DROP ROLE", "");
}

static void test_reads_go_on(void **state)
{
	struct store_fixture *f = *state;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(store_fixture_sql(f, END_SESSIONS("reader")), 1);
	assert_int_equal(job_state_of(f, "job_1"), JOB_QUEUED);
}

/* A session that hangs is given up, and what it was asked is done once. */
static void test_a_hung_session(void **state)
{
	static const char pid_sql[] =
		"SELECT pid FROM pg_stat_activity a JOIN writers w "
		"ON a.application_name = w.instance || ' writer'";
	const struct postgres_limits limits = postgres_limits;
	struct store_fixture *f = *state;
	uint64_t start_ms = clock_mono_ms();
	pid_t pid = (pid_t)store_fixture_sql(f, pid_sql);
	struct tally t = { 0 };

	postgres_limits.answer_ms = 500;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	start_increments(f, &t, 3);
	wait_for(f, &t.under_way);
	assert_int_equal(kill(pid, SIGCONT), 0);
	postgres_limits = limits;
	assert_int_equal(t.done, 3);
	assert_true(clock_mono_ms() - start_ms >= 500);
	start_increments(f, &t, 1);
	wait_for(f, &t.under_way);
	assert_string_equal(variable_value(f, "n"), "4");
	check_changes(f);
}

/* ---------------------------------------------------------- the URL */

static void test_a_password_is_not_told(void **state)
{
	static const char *const urls[] = {
		"postgresql://cronium:hunter2@/nothing?host=/nowhere",
		"postgresql://cronium:hunter2@/x?no_such_parameter=1",
		"postgresql://cronium:hunter2@/x?schema=Hunter2;",
		"postgres://cronium:hunter2@[::1",
		"mysql://cronium:hunter2@db/x",
	};
	struct store_fixture *f = *state;
	struct store_fixture other = *f;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		char err[512] = "";

		snprintf(other.url, sizeof(other.url), "%s", urls[i]);
		assert_true(store_fixture_try_open(&other, err, sizeof(err)) <
			    0);
		assert_int_not_equal(*err, '\0');
		assert_null(strstr(err, "unter2"));
	}
}

/* ---------------------------------------------------------- texts */

/* SQLite takes them; here what is no character becomes a question mark. */
static void test_texts_that_are_no_utf8(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_cancel cancel = { .job = "job_1",
					   .reason = "gr\xc3\xb6\xc3" };
	struct reply reply;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_cancel, &cancel), 0);
	assert_string_equal(reply.result.job.cancel_reason, "gr\xc3\xb6?");
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_no_job_is_claimed_twice),
		T(test_increments_add_up),
		T(test_opposite_orders),
		T(test_a_lock_is_waited_for),
		T(test_two_make_the_schema_at_once),
		T(test_killed_sessions),
		T(test_killed_while_it_commits),
		T(test_an_unknown_outcome),
		T(test_reads_go_on),
		T(test_a_hung_session),
		T(test_a_password_is_not_told),
		T(test_texts_that_are_no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
