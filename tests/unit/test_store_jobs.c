#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "backend/store_runtime.h"
#include "backend/store_sql_job.h"
#include "store_fixture.h"

/* ---------------------------------------------------------- jobs */

static void test_submit_and_get(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_1"), 0);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_string_equal(reply.result.job.executor, "sandbox");
	assert_string_equal(reply.result.job.spec.data, "{\"a\":1}");
	assert_string_equal(reply.result.job.labels.data, "{}");
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_int_equal(reply.result.job.attempt, 1);
	assert_int_equal(reply.result.job.script_bytes, 8);
	assert_int_equal(reply.result.job.output_bytes, -1);
	assert_true(reply.result.job.created_ms > 0);
	assert_null(reply.result.job.execution);
	assert_false(reply.result.job.has_exit_code);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_2"),
			 STORE_E_NOT_FOUND);
	assert_string_equal(reply.result.message, "there is no job job_2");
}

static int submit_with_key(struct store_fixture *f, const char *id,
			   const char *key, const char *script,
			   struct reply *reply)
{
	struct store_job_new job = { .id = id,
				     .idempotency_key = key,
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .script = STORE_STR(script) };

	return STORE_WAIT(f, reply, store_job_submit, &job);
}

static void test_submit_is_idempotent(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(submit_with_key(f, "job_1", "k", "x", &reply), 0);
	assert_false(reply.result.repeated);
	assert_int_equal(submit_with_key(f, "job_2", "k", "x", &reply), 0);
	assert_true(reply.result.repeated);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_int_equal(submit_with_key(f, "job_3", "k", "y", &reply),
			 STORE_E_KEY_REUSED);
	assert_int_equal(submit_with_key(f, "job_4", NULL, "x", &reply), 0);
	assert_int_equal(submit_with_key(f, "job_5", NULL, "x", &reply), 0);
	assert_string_equal(reply.result.job.id, "job_5");
}

static void test_submit_respects_the_queue_limit(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_3",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .max_queued = 2 };
	struct reply reply;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(submit_job(f, "job_2"), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job),
			 STORE_E_LIMIT);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
}

static void test_list_pages(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_query query = { .state = -1, .limit = 2 };
	struct reply reply;
	char id[16];

	for (int i = 1; i <= 5; i++) {
		snprintf(id, sizeof(id), "job_%d", i);
		assert_int_equal(submit_job(f, id), 0);
	}
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query), 0);
	assert_int_equal(reply.result.jobs.n, 2);
	assert_true(reply.result.jobs.more);
	assert_string_equal(reply.result.jobs.items[0].id, "job_5");
	query.before = "job_3";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query), 0);
	assert_int_equal(reply.result.jobs.n, 2);
	assert_false(reply.result.jobs.more);
	assert_string_equal(reply.result.jobs.items[1].id, "job_1");
	query = (struct store_job_query){ .state = JOB_RUNNING, .limit = 9 };
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query), 0);
	assert_int_equal(reply.result.jobs.n, 0);
	query.before = "job_9";
	assert_int_equal(STORE_WAIT(f, &reply, store_job_list, &query),
			 STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_count), 0);
	assert_int_equal(reply.result.counts[JOB_QUEUED], 5);
	assert_int_equal(reply.result.counts[JOB_RUNNING], 0);
}

static void test_payloads(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit_job(f, "job_1");
	assert_int_equal(
		STORE_WAIT(f, &reply, store_job_read, "job_1", STORE_INPUT), 0);
	assert_string_equal(reply.result.blob.data, "[1]");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_read, "job_1",
				    STORE_OUTPUT),
			 STORE_E_NOT_FOUND);
	assert_non_null(reply.result.job.id);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_read, "job_2",
				    STORE_OUTPUT),
			 STORE_E_NOT_FOUND);
	assert_null(reply.result.job.id);
}

/* ---------------------------------------------------------- queue */

static void test_claim_gives_everything(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(claim_job(f, "ex_0", &reply), STORE_E_NOT_FOUND);
	submit_job(f, "job_1");
	submit_job(f, "job_2");
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_string_equal(reply.result.job.execution, "ex_1");
	assert_string_equal(reply.result.job.agent, "agent");
	assert_string_equal(reply.result.job.spec.data, "{\"a\":1}");
	assert_string_equal(reply.result.claim.script.data, "print(1)");
	assert_string_equal(reply.result.claim.input.data, "[1]");
	assert_int_equal(reply.result.job.epoch, 1);
	assert_int_equal(reply.result.job.attempt, 1);
	assert_int_equal(reply.result.job.state, JOB_CLAIMED);
	assert_true(reply.result.job.lease_until_ms >
		    reply.result.job.claimed_ms);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_string_equal(reply.result.job.id, "job_2");
	assert_int_equal(claim_job(f, "ex_3", &reply), STORE_E_NOT_FOUND);
}

static void test_claim_matches_executors(void **state)
{
	struct store_fixture *f = *state;
	struct store_claim claim = { .execution = "ex_1",
				     .agent = "a",
				     .executors = "docker",
				     .lease_ms = 1000 };
	struct reply reply;

	submit_job(f, "job_1"); /* sandbox only */
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_claim, &claim),
			 STORE_E_NOT_FOUND);
	submit_with_key(f, "job_2", NULL, "x", &reply); /* auto */
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_claim, &claim), 0);
	assert_string_equal(reply.result.job.id, "job_2");
	claim.execution = "ex_2";
	claim.executors = "docker,sandbox";
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_claim, &claim), 0);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_int_equal(reply.result.claim.input.len, 3);
}

static void test_complete_once(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit_job(f, "job_1");
	claim_job(f, "ex_1", &reply);
	assert_int_equal(start_execution(f, "ex_1", 2), STORE_E_STALE_EPOCH);
	assert_int_equal(start_execution(f, "ex_9", 1), STORE_E_NOT_FOUND);
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(job_state_of(f, "job_1"), JOB_RUNNING);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_QUEUED, &reply),
			 STORE_E_STATE);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	assert_int_equal(reply.result.job.exit_code, 3);
	assert_int_equal(reply.result.job.usage.max_rss_kb, 3);
	assert_true(reply.result.job.ended_ms > 0);
	assert_int_equal(
		complete_execution(f, "ex_1", 1, JOB_SUCCEEDED, &reply), 0);
	assert_true(reply.result.repeated);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	assert_int_equal(start_execution(f, "ex_1", 1), STORE_E_STALE_EPOCH);
	assert_int_equal(STORE_WAIT(f, &reply, store_execution_get, "ex_1"),
			 STORE_E_ENDED);
	assert_string_equal(reply.result.job.id, "job_1");
}

static void test_cost(void **state)
{
	struct store_fixture *f = *state;
	struct store_complete complete = {
		.lease = { "ex_1", 1 },
		.state = JOB_SUCCEEDED,
		.usage = { 1, STORE_USAGE_UNKNOWN, 3, 1LL << 40, 0, 6 },
		.telemetry = STORE_STR("{\"before\":null}"),
	};
	const struct store_usage unknown = { -1, -1, -1, -1, -1, -1 };
	struct reply reply;

	submit_job(f, "job_1");
	STORE_WAIT(f, &reply, store_job_get, "job_1");
	assert_memory_equal(&reply.result.job.usage, &unknown, sizeof(unknown));
	assert_null(reply.result.job.telemetry.data);
	claim_job(f, "ex_1", &reply);
	assert_memory_equal(&reply.result.job.usage, &unknown, sizeof(unknown));
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_complete, &complete),
			 0);
	assert_null(reply.result.job.telemetry.data);
	STORE_WAIT(f, &reply, store_job_get, "job_1");
	assert_memory_equal(&reply.result.job.usage, &complete.usage,
			    sizeof(complete.usage));
	assert_int_equal(reply.result.job.telemetry.len,
			 complete.telemetry.len);
	assert_memory_equal(reply.result.job.telemetry.data,
			    complete.telemetry.data, complete.telemetry.len);
}

static void test_give_back_makes_a_new_epoch(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { "ex_1", 1 };
	struct reply reply;

	submit_job(f, "job_1");
	submit_job(f, "job_2");
	claim_job(f, "ex_1", &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 STORE_E_STALE_EPOCH);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_int_equal(reply.result.job.epoch, 2);
	assert_int_equal(reply.result.job.attempt, 1);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_SUCCEEDED,
					    &reply),
			 STORE_E_STALE_EPOCH);
	assert_int_equal(start_execution(f, "ex_2", 2), 0);
	lease = (struct store_lease){ "ex_2", 2 };
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 STORE_E_STATE);
}

/* Its agent knows better: it was told to be started, and was not. */
static void test_what_never_began_is_given_back(void **state)
{
	struct store_fixture *f = *state;
	const struct store_give_back give = { { "ex_1", 1 }, .unbegun = true };
	struct reply reply;

	submit_job(f, "job_1");
	claim_job(f, "ex_1", &reply);
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back, &give),
			 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_int_equal(reply.result.job.epoch, 2);
	assert_int_equal(reply.result.job.attempt, 1);
}

static void test_an_agent_says_that_one_is_lost(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit_job(f, "job_1");
	claim_job(f, "ex_1", &reply);
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_LOST, &reply), 0);
	assert_int_equal(reply.result.job.state, JOB_LOST);
	/* What has not begun cannot be. */
	submit_job(f, "job_2");
	claim_job(f, "ex_2", &reply);
	assert_int_equal(complete_execution(f, "ex_2", 1, JOB_LOST, &reply), 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
}

static void test_recover_ends_the_other_leases(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease leases[] = { { "ex_2", 1 }, { "ex_9", 1 } };
	const struct store_heartbeat left = {
		.agent = "agent", .leases = leases, .n = 2, .lease_ms = 90000
	};
	struct reply reply;

	for (int i = 1; i <= 3; i++) {
		char job[16], execution[16];

		snprintf(job, sizeof(job), "job_%d", i);
		snprintf(execution, sizeof(execution), "ex_%d", i);
		submit_job(f, job);
		assert_int_equal(claim_job(f, execution, &reply), 0);
	}
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(start_execution(f, "ex_2", 1), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_recover, &left), 0);
	assert_int_equal(reply.result.heartbeat.n_lost, 1);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_expire, 1), 0);
	assert_int_equal(reply.result.jobs.n, 2);
	assert_int_equal(job_state_of(f, "job_1"), JOB_LOST);
	assert_int_equal(job_state_of(f, "job_2"), JOB_RUNNING);
	assert_int_equal(job_state_of(f, "job_3"), JOB_QUEUED);
}

static int cancel_job(struct store_fixture *f, const char *id,
		      struct reply *reply)
{
	struct store_job_cancel cancel = { .job = id, .reason = "enough" };

	return STORE_WAIT(f, reply, store_job_cancel, &cancel);
}

static void test_cancel(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { "ex_2", 1 };
	struct reply reply;

	submit_job(f, "job_1");
	assert_int_equal(cancel_job(f, "job_1", &reply), 0);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
	assert_string_equal(reply.result.job.reason, "enough");
	assert_int_equal(cancel_job(f, "job_1", &reply), STORE_E_ENDED);
	assert_int_equal(claim_job(f, "ex_1", &reply), STORE_E_NOT_FOUND);

	submit_job(f, "job_2");
	claim_job(f, "ex_2", &reply);
	assert_int_equal(cancel_job(f, "job_2", &reply), 0);
	assert_int_equal(reply.result.job.state, JOB_CLAIMED);
	assert_true(reply.result.job.cancel_requested);
	assert_string_equal(reply.result.job.execution, "ex_2");
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
}

static void test_heartbeat(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease leases[] = {
		{ "ex_1", 1 }, { "ex_2", 1 }, { "ex_2", 7 }, { "ex_9", 1 }
	};
	struct store_heartbeat beat = {
		.agent = "agent", .leases = leases, .n = 4, .lease_ms = 90000
	};
	int64_t before;
	struct reply reply;

	submit_job(f, "job_1");
	submit_job(f, "job_2");
	claim_job(f, "ex_1", &reply);
	before = reply.result.job.lease_until_ms;
	claim_job(f, "ex_2", &reply);
	cancel_job(f, "job_2", &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_heartbeat, &beat),
			 0);
	assert_int_equal(reply.result.heartbeat.n_cancel, 1);
	assert_string_equal(reply.result.heartbeat.cancel[0].execution, "ex_2");
	assert_string_equal(reply.result.heartbeat.cancel[0].reason, "enough");
	assert_int_equal(reply.result.heartbeat.n_lost, 2);
	assert_string_equal(reply.result.heartbeat.lost[0], "ex_2");
	assert_string_equal(reply.result.heartbeat.lost[1], "ex_9");
	STORE_WAIT(f, &reply, store_job_get, "job_1");
	assert_true(reply.result.job.lease_until_ms > before);
}

static void test_expire(void **state)
{
	struct store_fixture *f = *state;
	int64_t until;
	struct reply reply;

	submit_job(f, "job_1");
	submit_job(f, "job_2");
	submit_job(f, "job_3");
	claim_job(f, "ex_1", &reply);
	claim_job(f, "ex_2", &reply);
	claim_job(f, "ex_3", &reply);
	until = reply.result.job.lease_until_ms;
	start_execution(f, "ex_2", 1);
	cancel_job(f, "job_3", &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_expire, 1), 0);
	assert_int_equal(reply.result.jobs.n, 0);
	assert_true(reply.result.jobs.next_ms > 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_grace, 90000), 0);
	STORE_WAIT(f, &reply, store_queue_expire, until + 1);
	assert_int_equal(reply.result.jobs.n, 0);
	STORE_WAIT(f, &reply, store_queue_expire, until + 1000000);
	assert_int_equal(reply.result.jobs.n, 3);
	assert_int_equal(reply.result.jobs.next_ms, 0);
	assert_int_equal(job_state_of(f, "job_1"), JOB_QUEUED);
	assert_int_equal(job_state_of(f, "job_2"), JOB_LOST);
	assert_int_equal(job_state_of(f, "job_3"), JOB_CANCELLED);
	assert_int_equal(complete_execution(f, "ex_2", 1, JOB_SUCCEEDED,
					    &reply),
			 STORE_E_STALE_EPOCH);
	assert_int_equal(job_state_of(f, "job_2"), JOB_LOST);
	assert_int_equal(claim_job(f, "ex_4", &reply), 0);
	assert_int_equal(reply.result.job.epoch, 2);
}

/* ---------------------------------------------------------- agents */

static void submit_for(struct store_fixture *f, const char *id,
		       const char *executor, const char *want_agent)
{
	struct store_job_new job = { .id = id,
				     .name = "a",
				     .runtime = "bash",
				     .executor = executor,
				     .want_agent = want_agent };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
}

/* The job that the agent is given; NULL for none. */
static const char *claimed_by(struct store_fixture *f, const char *agent,
			      const char *executors)
{
	static int n;
	char execution[32];
	struct store_claim claim = { .execution = execution,
				     .agent = agent,
				     .executors = executors,
				     .lease_ms = 30000 };
	struct reply reply;
	int r;

	snprintf(execution, sizeof(execution), "ex_for_%d", n++);
	r = STORE_WAIT(f, &reply, store_queue_claim, &claim);
	if (r == STORE_E_NOT_FOUND)
		return NULL;
	assert_int_equal(r, 0);
	assert_string_equal(reply.result.job.agent, agent);
	return reply.result.job.id;
}

static void test_only_the_wanted_agent(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit_for(f, "job_1", "sandbox", "one");
	submit_for(f, "job_2", "sandbox", NULL);
	submit_for(f, "job_3", "auto", "two");
	submit_for(f, "job_4", "docker", "one");
	submit_for(f, "job_5", "auto", NULL);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_3"), 0);
	assert_string_equal(reply.result.job.want_agent, "two");
	/* The oldest that it may take, whoever else it is for. */
	assert_string_equal(claimed_by(f, "three", "sandbox"), "job_2");
	assert_string_equal(claimed_by(f, "one", "sandbox"), "job_1");
	assert_string_equal(claimed_by(f, "two", "sandbox"), "job_3");
	assert_string_equal(claimed_by(f, "one", "sandbox"), "job_5");
	assert_null(claimed_by(f, "one", "sandbox"));
	assert_null(claimed_by(f, "two", "docker"));
	assert_null(claimed_by(f, "On", "docker"));
	assert_null(claimed_by(f, "", "docker"));
	assert_string_equal(claimed_by(f, "one", "docker,sandbox"), "job_4");
}

/* One that is given back is still for its agent alone. */
static void test_wanted_agent_after_a_lease(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { NULL, 1 };
	struct reply reply;

	submit_for(f, "job_1", "auto", "one");
	assert_string_equal(claimed_by(f, "one", "docker"), "job_1");
	assert_int_equal(STORE_WAIT(f, &reply, store_job_get, "job_1"), 0);
	lease.execution = reply.result.job.execution;
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_null(claimed_by(f, "two", "docker"));
	assert_string_equal(claimed_by(f, "one", "docker"), "job_1");
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_submit_and_get),
		T(test_submit_is_idempotent),
		T(test_submit_respects_the_queue_limit),
		T(test_list_pages),
		T(test_payloads),
		T(test_claim_gives_everything),
		T(test_claim_matches_executors),
		T(test_complete_once),
		T(test_cost),
		T(test_give_back_makes_a_new_epoch),
		T(test_what_never_began_is_given_back),
		T(test_an_agent_says_that_one_is_lost),
		T(test_recover_ends_the_other_leases),
		T(test_cancel),
		T(test_heartbeat),
		T(test_expire),
		T(test_only_the_wanted_agent),
		T(test_wanted_agent_after_a_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
