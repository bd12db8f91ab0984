#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_no_wait.h"
#include "backend/store_queue.h"
#include "backend/store_session.h"
#include "common/clock.h"
#include "store_fixture.h"

#define MANY_JOBS 2000

static int make(struct store_fixture *f, const char *id, const char *name,
		struct reply *reply)
{
	const struct store_session_new request = {
		.id = id,
		.name = name,
		.audit = { .who = "uid:0",
			   .action = "session.create",
			   .target = name },
	};

	return STORE_WAIT(f, reply, store_session_new, &request);
}

static int set(struct store_fixture *f, const char *session,
	       enum session_state state, const char *reason,
	       struct reply *reply)
{
	const struct store_session_set request = {
		.session = session,
		.state = state,
		.reason = reason,
		.audit = { .who = "uid:0",
			   .action = "session.set",
			   .target = session },
	};

	return STORE_WAIT(f, reply, store_session_set, &request);
}

static int submit(struct store_fixture *f, const char *id, const char *session,
		  struct reply *reply)
{
	const struct store_job_new job = { .id = id,
					   .name = "a",
					   .runtime = "bash",
					   .executor = "sandbox",
					   .session = session,
					   .retry = { .retries = 1,
						      .initial_ms = 1,
						      .max_ms = 1,
						      .elapsed_ms = 60000 },
					   .script = STORE_STR("x") };

	return STORE_WAIT(f, reply, store_job_submit, &job);
}

/* The next job that an agent gets, or "". */
static const char *claim(struct store_fixture *f, const char *execution,
			 struct reply *reply)
{
	return claim_job(f, execution, reply) ? "" : reply->result.job.id;
}

static void check_counts(struct store_fixture *f, const char *session,
			 int64_t queued, int64_t running, int64_t ended)
{
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_session_get, session), 0);
	assert_int_equal(reply.result.session.queued, queued);
	assert_int_equal(reply.result.session.running, running);
	assert_int_equal(reply.result.session.ended, ended);
}

static void test_names(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_string_equal(reply.result.session.id, "ses_1");
	assert_int_equal(reply.result.session.state, SESSION_ACTIVE);
	assert_true(reply.result.session.created_ms > 0);
	assert_int_equal(make(f, "ses_2", "night", &reply), STORE_E_EXISTS);
	assert_int_equal(set(f, "night", SESSION_PAUSED, NULL, &reply), 0);
	assert_int_equal(make(f, "ses_2", "night", &reply), STORE_E_EXISTS);
	assert_int_equal(set(f, "ses_1", SESSION_ENDED, NULL, &reply), 0);
	assert_true(reply.result.session.ended_ms > 0);
	/* Of two the one that has not ended, else the newer. */
	assert_int_equal(make(f, "ses_2", "night", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_session_get, "night"), 0);
	assert_string_equal(reply.result.session.id, "ses_2");
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_session_get, "night"), 0);
	assert_string_equal(reply.result.session.id, "ses_2");
	assert_int_equal(STORE_WAIT(f, &reply, store_session_get, "ses_1"), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_session_get, "day"),
			 STORE_E_NOT_FOUND);
	assert_string_equal(reply.result.message,
			    "there is no session day "
			    "('cronium session list' shows them)");
}

static void test_list(void **state)
{
	struct store_session_query query = { .state = -1, .limit = 2 };
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "a", &reply), 0);
	assert_int_equal(make(f, "ses_2", "b", &reply), 0);
	assert_int_equal(make(f, "ses_3", "c", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_session_list, &query), 0);
	assert_int_equal(reply.result.sessions.n, 2);
	assert_true(reply.result.sessions.more);
	assert_string_equal(reply.result.sessions.items[0].name, "c");
	query.before = "ses_2";
	assert_int_equal(STORE_WAIT(f, &reply, store_session_list, &query), 0);
	assert_int_equal(reply.result.sessions.n, 1);
	assert_string_equal(reply.result.sessions.items[0].name, "a");
	query.before = "ses_9";
	assert_int_equal(STORE_WAIT(f, &reply, store_session_list, &query),
			 STORE_E_NOT_FOUND);
	assert_int_equal(set(f, "b", SESSION_PAUSED, "why", &reply), 0);
	query = (struct store_session_query){ .state = SESSION_PAUSED,
					      .limit = 9 };
	assert_int_equal(STORE_WAIT(f, &reply, store_session_list, &query), 0);
	assert_int_equal(reply.result.sessions.n, 1);
	assert_string_equal(reply.result.sessions.items[0].reason, "why");
}

static void test_there_are_not_too_many(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	char id[24], name[24];

	for (int i = 0; i < STORE_SESSIONS_MAX; i++) {
		snprintf(id, sizeof(id), "ses_%d", i);
		snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(make(f, id, name, &reply), 0);
	}
	assert_int_equal(make(f, "ses_x", "x", &reply), STORE_E_LIMIT);
	assert_int_equal(set(f, "s7", SESSION_ENDED, NULL, &reply), 0);
	assert_int_equal(make(f, "ses_x", "x", &reply), 0);
}

static void test_jobs_name_a_session(void **state)
{
	struct store_job_query query = { .state = -1, .limit = 9 };
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(submit(f, "job_1", "night", &reply), STORE_E_SESSION);
	assert_string_equal(reply.result.message,
			    "session: there is no session night ('cronium "
			    "session new' makes one)");
	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_string_equal(reply.result.job.session, "ses_1");
	assert_string_equal(reply.result.job.session_name, "night");
	assert_int_equal(submit(f, "job_2", NULL, &reply), 0);
	assert_null(reply.result.job.session);
	assert_int_equal(submit(f, "job_3", "ses_1", &reply), 0);
	check_counts(f, "night", 2, 0, 0);
	query.session = "night";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query), 0);
	assert_int_equal(reply.result.jobs.n, 2);
	assert_string_equal(reply.result.jobs.items[0].id, "job_3");
	query.state = JOB_RUNNING;
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query), 0);
	assert_int_equal(reply.result.jobs.n, 0);
	query.session = "day";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query),
			 STORE_E_NOT_FOUND);
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	assert_int_equal(submit(f, "job_4", "night", &reply),
			 STORE_E_SESSION_ENDED);
	check_counts(f, "night", 0, 0, 2);
}

static void test_paused_jobs_are_held(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_2", "night", &reply), 0);
	assert_int_equal(submit(f, "job_3", NULL, &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_1");
	assert_int_equal(set(f, "night", SESSION_PAUSED, "later", &reply), 0);
	assert_int_equal(set(f, "night", SESSION_PAUSED, "again", &reply), 0);
	assert_true(reply.result.repeated);
	assert_string_equal(reply.result.session.reason, "later");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_2"), 0);
	assert_true(reply.result.job.held);
	assert_string_equal(reply.result.job.session_reason, "later");
	assert_string_equal(claim(f, "ex_2", &reply), "job_3");
	assert_string_equal(claim(f, "ex_3", &reply), "");
	/* From the start, too. */
	assert_int_equal(submit(f, "job_4", "night", &reply), 0);
	assert_true(reply.result.job.held);
	assert_string_equal(claim(f, "ex_3", &reply), "");
	check_counts(f, "night", 2, 1, 0);
	store_fixture_close(f);
	store_fixture_open(f);
	assert_string_equal(claim(f, "ex_3", &reply), "");
	/* In their order. */
	assert_int_equal(set(f, "night", SESSION_ACTIVE, NULL, &reply), 0);
	assert_null(reply.result.session.reason);
	assert_string_equal(claim(f, "ex_4", &reply), "job_2");
	assert_false(reply.result.job.held);
	assert_string_equal(claim(f, "ex_5", &reply), "job_4");
}

static void test_what_comes_back_is_held(void **state)
{
	const struct store_lease lease = { "ex_1", 1 };
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_2", "night", &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_1");
	assert_string_equal(claim(f, "ex_2", &reply), "job_2");
	assert_int_equal(start_execution(f, "ex_2", 1), 0);
	assert_int_equal(set(f, "night", SESSION_PAUSED, NULL, &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_true(reply.result.job.held);
	/* A retry waits for its time, and for the session. */
	assert_int_equal(complete_execution(f, "ex_2", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_true(reply.result.job.held);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_due,
				    clock_wall_ms() + 60000),
			 0);
	assert_int_equal(reply.result.jobs.n, 1);
	assert_true(reply.result.jobs.items[0].held);
	assert_string_equal(claim(f, "ex_3", &reply), "");
	assert_int_equal(set(f, "night", SESSION_ACTIVE, NULL, &reply), 0);
	assert_string_equal(claim(f, "ex_3", &reply), "job_1");
	assert_string_equal(claim(f, "ex_4", &reply), "job_2");
}

static void test_end(void **state)
{
	const struct store_lease lease = { "ex_1", 1 };
	const struct store_heartbeat heartbeat = {
		.agent = "agent", .leases = &lease, .n = 1, .lease_ms = 30000
	};
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_2", "night", &reply), 0);
	assert_int_equal(submit(f, "job_3", NULL, &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_1");
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(set(f, "night", SESSION_ENDED, "enough", &reply), 0);
	assert_int_equal(reply.result.session.running, 1);
	assert_int_equal(reply.result.session.ended, 1);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_2"), 0);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
	assert_string_equal(reply.result.job.reason,
			    "its session night was ended: enough");
	assert_true(reply.result.job.ended_ms > 0);
	assert_int_equal(
		STORE_WAIT(f, &reply, store_queue_heartbeat, &heartbeat), 0);
	assert_int_equal(reply.result.heartbeat.n_cancel, 1);
	/* It is not tried again, although it has retries. */
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	assert_string_equal(claim(f, "ex_2", &reply), "job_3");
	/* For ever. */
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	assert_true(reply.result.repeated);
	assert_string_equal(reply.result.session.reason, "enough");
	assert_int_equal(set(f, "night", SESSION_ACTIVE, NULL, &reply),
			 STORE_E_SESSION_ENDED);
	assert_int_equal(set(f, "night", SESSION_PAUSED, NULL, &reply),
			 STORE_E_SESSION_ENDED);
	check_counts(f, "night", 0, 0, 2);
}

static void test_what_comes_back_of_an_ended_one(void **state)
{
	const struct store_lease lease = { "ex_1", 1 };
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_1");
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
	assert_string_equal(reply.result.job.reason,
			    "its session night was ended");
}

static void test_children_inherit(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new child = { .id = "job_2",
				       .name = "a",
				       .runtime = "bash",
				       .executor = "sandbox",
				       .parent = "ex_1",
				       .max_children = 9,
				       .max_depth = 9,
				       .max_family = 9,
				       .script = STORE_STR("x") };
	struct reply reply;

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	assert_int_equal(submit(f, "job_1", "night", &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_1");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &child), 0);
	assert_string_equal(reply.result.job.session, "ses_1");
	check_counts(f, "night", 1, 1, 0);
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	child.id = "job_3";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &child),
			 STORE_E_SESSION_ENDED);
	assert_int_equal(
		complete_execution(f, "ex_1", 1, JOB_CANCELLED, &reply), 0);
	check_counts(f, "night", 0, 0, 2);
}

static void test_many_at_once(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	char id[24];

	assert_int_equal(make(f, "ses_1", "night", &reply), 0);
	for (int i = 0; i < MANY_JOBS; i++) {
		struct store_job_new job = { .id = id,
					     .name = "a",
					     .runtime = "bash",
					     .executor = "sandbox",
					     .session = "night",
					     .script = STORE_STR("x") };
		const struct store_done nobody = { 0 };

		snprintf(id, sizeof(id), "job_%d", i);
		assert_int_equal(store_job_submit(f->store, &job, nobody), 0);
	}
	assert_int_equal(set(f, "night", SESSION_PAUSED, NULL, &reply), 0);
	assert_int_equal(reply.result.session.queued, MANY_JOBS);
	assert_string_equal(claim(f, "ex_1", &reply), "");
	assert_int_equal(set(f, "night", SESSION_ACTIVE, NULL, &reply), 0);
	assert_string_equal(claim(f, "ex_1", &reply), "job_0");
	assert_int_equal(set(f, "night", SESSION_ENDED, NULL, &reply), 0);
	assert_int_equal(reply.result.session.ended, MANY_JOBS - 1);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_count), 0);
	assert_int_equal(reply.result.counts[JOB_CANCELLED], MANY_JOBS - 1);
	assert_int_equal(reply.result.counts[JOB_QUEUED], 0);
}

static void test_no_wait(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_1",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "sandbox",
				     .no_wait = true,
				     .script = STORE_STR("x") };
	struct store_job_fail fail = { "job_1", "nobody is there" };
	struct reply reply;

	assert_int_equal(submit_job(f, "job_0"), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	assert_true(reply.result.job.no_wait);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_no_wait), 0);
	assert_int_equal(reply.result.jobs.n, 1);
	assert_string_equal(reply.result.jobs.items[0].id, "job_1");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_fail, &fail), 0);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	assert_string_equal(reply.result.job.reason, "nobody is there");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_fail, &fail),
			 STORE_E_STATE);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	fail.job = "job_9";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_fail, &fail),
			 STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_no_wait), 0);
	assert_int_equal(reply.result.jobs.n, 0);
}

#define TEST(fn)                                                 \
	cmocka_unit_test_setup_teardown(fn, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_list),
		TEST(test_there_are_not_too_many),
		TEST(test_jobs_name_a_session),
		TEST(test_paused_jobs_are_held),
		TEST(test_what_comes_back_is_held),
		TEST(test_end),
		TEST(test_what_comes_back_of_an_ended_one),
		TEST(test_children_inherit),
		TEST(test_many_at_once),
		TEST(test_no_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
