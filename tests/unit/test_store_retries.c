#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_log.h"
#include "backend/store_queue.h"
#include "backend/store_runtime.h"
#include "backend/store_stream.h"
#include "common/clock.h"
#include "store_fixture.h"

#define HOUR_MS INT64_C(3600000)

static void submit(struct store_fixture *f, const char *id,
		   struct store_retry retry)
{
	struct store_job_new job = { .id = id,
				     .name = "hello.py",
				     .runtime = "python",
				     .executor = "sandbox",
				     .spec = STORE_STR("{}"),
				     .script = STORE_STR("print(1)"),
				     .retry = retry };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
}

static const struct store_retry twice = { .retries = 2,
					  .initial_ms = HOUR_MS,
					  .max_ms = 24 * HOUR_MS,
					  .elapsed_ms = 100 * HOUR_MS };

/* Claims, starts, and ends it in that way. */
static void attempt(struct store_fixture *f, const char *execution,
		    enum job_state state, struct reply *reply)
{
	int64_t epoch;

	assert_int_equal(claim_job(f, execution, reply), 0);
	epoch = reply->result.job.epoch;
	assert_int_equal(start_execution(f, execution, epoch), 0);
	assert_int_equal(complete_execution(f, execution, epoch, state, reply),
			 0);
}

/* Lets time pass until the job may be claimed. */
static void pass_time(struct store_fixture *f, const struct reply *job)
{
	int64_t at_ms = job->result.job.not_before_ms;
	struct reply reply;

	assert_true(at_ms > store_now_ms(f->store));
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_due, at_ms - 1), 0);
	assert_int_equal(reply.result.jobs.n, 0);
	assert_int_equal(reply.result.jobs.next_ms, at_ms);
	assert_int_equal(claim_job(f, "ex_early", &reply), STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_due, at_ms), 0);
	assert_int_equal(reply.result.jobs.n, 1);
	assert_int_equal(reply.result.jobs.next_ms, 0);
	assert_int_equal(reply.result.jobs.items[0].not_before_ms, 0);
}

static void check_log(struct store_fixture *f, const char *job,
		      const char *expected)
{
	struct store_log_query query = { .job = job, .max_bytes = 4096 };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_log_read, &query), 0);
	assert_string_equal(reply.log, expected);
}

static void test_tries_end(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit(f, "job_1", twice);
	attempt(f, "ex_1", JOB_FAILED, &reply);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_int_equal(reply.result.job.attempt, 1);
	assert_string_equal(reply.result.job.reason,
			    "attempt 1 failed (exit code 3)");
	pass_time(f, &reply);
	attempt(f, "ex_2", JOB_TIMED_OUT, &reply);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	assert_int_equal(reply.result.job.attempt, 2);
	assert_in_range(reply.result.job.not_before_ms,
			store_now_ms(f->store) + 2 * HOUR_MS - 60000,
			store_now_ms(f->store) + 2 * HOUR_MS);
	pass_time(f, &reply);
	attempt(f, "ex_3", JOB_FAILED, &reply);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	assert_int_equal(reply.result.job.attempt, 3);
	assert_int_equal(reply.result.job.not_before_ms, 0);
	check_log(f, "job_1",
		  "n:attempt 1 failed (exit code 3); attempt 2 of 3 in 3600 "
		  "s\nn:attempt 2 timed out; attempt 3 of 3 in 7200 s\n");
}

static void test_success_and_cancellation_are_final(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit(f, "job_1", twice);
	attempt(f, "ex_1", JOB_SUCCEEDED, &reply);
	assert_int_equal(reply.result.job.state, JOB_SUCCEEDED);
	submit(f, "job_2", twice);
	attempt(f, "ex_2", JOB_CANCELLED, &reply);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
	check_log(f, "job_2", "");
}

static void test_who_asked_to_cancel_gets_no_other_try(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_cancel cancel = { .job = "job_1", .reason = "why" };
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_cancel, &cancel), 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
}

static void test_cancelled_while_it_waits(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_cancel cancel = { .job = "job_1", .reason = "why" };
	struct reply reply;

	submit(f, "job_1", twice);
	attempt(f, "ex_1", JOB_FAILED, &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_cancel, &cancel), 0);
	assert_int_equal(reply.result.job.state, JOB_CANCELLED);
	assert_int_equal(reply.result.job.not_before_ms, 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_due, INT64_MAX), 0);
	assert_int_equal(reply.result.jobs.n, 0);
}

static void test_a_completion_is_repeated_not_tried_again(void **state)
{
	struct store_fixture *f = *state;
	struct reply first, reply;

	submit(f, "job_1", twice);
	attempt(f, "ex_1", JOB_FAILED, &first);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_true(reply.result.repeated);
	assert_int_equal(reply.result.job.not_before_ms,
			 first.result.job.not_before_ms);
	pass_time(f, &first);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_int_equal(reply.result.job.attempt, 2);
	assert_null(reply.result.job.reason);
	/* Also when the next attempt is under way. */
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_true(reply.result.repeated);
	assert_int_equal(job_state_of(f, "job_1"), JOB_CLAIMED);
}

/* What never started was no attempt; what could not start was one. */
static void test_what_an_attempt_is(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { "ex_1", 1 };
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_give_back,
				    &(struct store_give_back){
					    .lease = lease }),
			 0);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_int_equal(reply.result.job.attempt, 1);
	assert_int_equal(complete_execution(f, "ex_2", 2, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	pass_time(f, &reply);
	assert_int_equal(claim_job(f, "ex_3", &reply), 0);
	assert_int_equal(reply.result.job.attempt, 2);
}

static void test_a_lost_job_is_tried_again(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(start_execution(f, "ex_1", 1), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_queue_expire, INT64_MAX),
			 0);
	assert_int_equal(reply.result.jobs.n, 1);
	assert_int_equal(reply.result.jobs.items[0].state, JOB_QUEUED);
	assert_true(reply.result.jobs.items[0].not_before_ms > 0);
	check_log(
		f, "job_1",
		"n:attempt 1 was lost (its agent stopped answering: the lease "
		"ran out); attempt 2 of 3 in 3600 s\n");
	/* The agent that comes back is told that it was too late. */
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_SUCCEEDED,
					    &reply),
			 STORE_E_STALE_EPOCH);
}

static void test_none_begins_too_late(void **state)
{
	struct store_fixture *f = *state;
	const struct store_retry hasty = { .retries = 9,
					   .initial_ms = 4 * HOUR_MS,
					   .max_ms = 5 * HOUR_MS,
					   .elapsed_ms = 4 * HOUR_MS };
	struct reply reply;

	submit(f, "job_1", hasty);
	attempt(f, "ex_1", JOB_FAILED, &reply);
	assert_int_equal(reply.result.job.state, JOB_QUEUED);
	pass_time(f, &reply);
	attempt(f, "ex_2", JOB_FAILED, &reply);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	check_log(f, "job_1",
		  "n:attempt 1 failed (exit code 3); attempt 2 of 10 in "
		  "14400 s\nn:attempt 2 failed (exit code 3); it is not "
		  "tried again: that would be more than 14400 s after the "
		  "first failure\n");
}

static void append(struct store_fixture *f, const char *execution,
		   const char *records, int64_t n)
{
	struct store_stream_append a = { .kind = STORE_STREAM_OUTPUT,
					 .writer = { .execution = execution },
					 .from = -1,
					 .records = STORE_STR(records),
					 .n = n };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_stream_append, &a), 0);
}

static void test_who_has_written_records_gets_no_other_try(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	append(f, "ex_1", "1\n", 1);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.state, JOB_FAILED);
	check_log(f, "job_1",
		  "n:attempt 1 failed (exit code 3); it is not tried again: it "
		  "has written to its output stream\n");
}

static void test_the_last_output_counts(void **state)
{
	struct store_fixture *f = *state;
	struct store_output_set set = { .value = STORE_STR("1"),
					.writer = { .execution = "ex_1" } };
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_output_set, &set), 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.output_bytes, -1);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_read, "job_1",
				    STORE_OUTPUT),
			 STORE_E_NOT_FOUND);
}

static void test_a_restart_changes_nothing(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply, after;

	submit(f, "job_1", twice);
	attempt(f, "ex_1", JOB_FAILED, &reply);
	store_fixture_close(f);
	store_fixture_open(f);
	assert_int_equal(STORE_WAIT(f, &after, store_queue_due, 1), 0);
	assert_int_equal(after.result.jobs.next_ms,
			 reply.result.job.not_before_ms);
	pass_time(f, &reply);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	assert_int_equal(reply.result.job.attempt, 2);
}

static void test_the_log_goes_on(void **state)
{
	struct store_fixture *f = *state;
	struct store_log_chunk chunk = { STORE_STDOUT, STORE_STR("a\n") };
	struct store_log_append log = { .lease = { "ex_1", 1 },
					.chunks = &chunk,
					.n = 1 };
	struct reply reply;

	submit(f, "job_1", twice);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_log_append, &log), 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	pass_time(f, &reply);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	log.lease = (struct store_lease){ "ex_2", 2 };
	assert_int_equal(STORE_WAIT(f, &reply, store_log_append, &log), 0);
	check_log(f, "job_1",
		  "o:a\nn:attempt 1 failed (exit code 3); attempt 2 of 3 in "
		  "3600 s\no:a\n");
}

#define TEST(name)                                                 \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tries_end),
		TEST(test_success_and_cancellation_are_final),
		TEST(test_who_asked_to_cancel_gets_no_other_try),
		TEST(test_cancelled_while_it_waits),
		TEST(test_a_completion_is_repeated_not_tried_again),
		TEST(test_what_an_attempt_is),
		TEST(test_a_lost_job_is_tried_again),
		TEST(test_none_begins_too_late),
		TEST(test_who_has_written_records_gets_no_other_try),
		TEST(test_the_last_output_counts),
		TEST(test_a_restart_changes_nothing),
		TEST(test_the_log_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
