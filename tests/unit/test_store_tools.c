/* Tool actions as the store remembers them, and jobs that jobs start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "backend/store_tool.h"
#include "store_fixture.h"

static void start_job(struct store_fixture *f, const char *job, const char *ex)
{
	struct reply reply;

	assert_int_equal(submit_job(f, job), 0);
	assert_int_equal(claim_job(f, ex, &reply), 0);
	assert_string_equal(reply.result.job.id, job);
	assert_int_equal(start_execution(f, ex, 1), 0);
}

static int begin(struct store_fixture *f, const char *key, const char *request,
		 struct reply *reply)
{
	struct store_tool_begin b = {
		.execution = "ex_1",
		.idempotency_key = key,
		.request = STORE_STR(request),
		.audit = { .who = "execution:ex_1",
			   .action = "tool.begin",
			   .target = "slack/send-message",
			   .execution = "ex_1" },
	};

	return STORE_WAIT(f, reply, store_tool_begin, &b);
}

static int finish(struct store_fixture *f, const char *key, int status,
		  const char *body, const char *result)
{
	struct store_tool_finish fin = {
		.execution = "ex_1",
		.idempotency_key = key,
		.status = status,
		.reply = STORE_STR(body),
		.audit = { .who = "execution:ex_1",
			   .action = "tool.call",
			   .target = "slack/send-message",
			   .result = result,
			   .execution = "ex_1" },
	};
	struct reply reply;

	return STORE_WAIT(f, &reply, store_tool_finish, &fin);
}

static void test_first_outcome_is_repeated(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_false(reply.result.repeated);
	assert_int_equal(reply.result.tool.status, 0);
	assert_int_equal(finish(f, "k", 200, "{\"ts\":1.10}", "ok"), 0);
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_true(reply.result.repeated);
	assert_int_equal(reply.result.tool.status, 200);
	assert_int_equal(reply.result.tool.reply.len, 11);
	assert_memory_equal(reply.result.tool.reply.data, "{\"ts\":1.10}", 11);
	/* A later outcome changes nothing. */
	assert_int_equal(finish(f, "k", 424, "{}", "tool_failed"), 0);
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_int_equal(reply.result.tool.status, 200);
	/* Another key is another action. */
	assert_int_equal(begin(f, "l", "b", &reply), 0);
	assert_false(reply.result.repeated);
}

static void test_unknown_outcome(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	store_fixture_close(f);
	store_fixture_open(f);
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_true(reply.result.repeated);
	assert_int_equal(reply.result.tool.status, 0);
	/* What was certainly not done is as if it had never begun. */
	assert_int_equal(finish(f, "k", 0, "", "not_sent"), 0);
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_false(reply.result.repeated);
}

static void test_key_of_another_request(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_int_equal(begin(f, "k", "b", &reply), STORE_E_KEY_REUSED);
	assert_int_equal(finish(f, "k", 200, "1", "ok"), 0);
	assert_int_equal(begin(f, "k", "b", &reply), STORE_E_KEY_REUSED);
	assert_non_null(strstr(reply.result.message, "k"));
}

static void test_forgotten_with_the_execution(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_int_equal(
		complete_execution(f, "ex_1", 1, JOB_SUCCEEDED, &reply), 0);
	assert_int_equal(begin(f, "k", "a", &reply), STORE_E_ENDED);
	/* What comes later finds nothing to note, which is no failure. */
	assert_int_equal(finish(f, "k", 200, "1", "ok"), 0);
	assert_int_equal(begin(f, "none", "a", &reply), STORE_E_ENDED);
}

static void test_unknown_execution(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(begin(f, "k", "a", &reply), STORE_E_NOT_FOUND);
}

static void test_audit(void **state)
{
	struct store_fixture *f = *state;
	struct store_audit_query query = { .limit = 10, .execution = "ex_1" };
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "a", &reply), 0);
	assert_int_equal(finish(f, "k", 424, "{}", "tool_failed"), 0);
	assert_int_equal(begin(f, "k", "a", &reply), 0); /* repeated: silent */
	assert_int_equal(begin(f, "k", "b", &reply), STORE_E_KEY_REUSED);
	STORE_WAIT(f, &reply, store_audit_list, &query);
	assert_int_equal(reply.result.audit.n, 3);
	assert_string_equal(reply.result.audit.items[0].entry.result,
			    "key_reused");
	assert_string_equal(reply.result.audit.items[1].entry.action,
			    "tool.call");
	assert_string_equal(reply.result.audit.items[1].entry.result,
			    "tool_failed");
	assert_string_equal(reply.result.audit.items[1].entry.target,
			    "slack/send-message");
	assert_string_equal(reply.result.audit.items[2].entry.action,
			    "tool.begin");
}

static void test_replies_are_sealed(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(begin(f, "k", "params-in-the-clear", &reply), 0);
	assert_int_equal(finish(f, "k", 200, "\"reply-in-the-clear\"", "ok"),
			 0);
	assert_true(store_fixture_holds(f, "slack/send-message"));
	assert_false(store_fixture_holds(f, "in-the-clear"));
}

/* --------------------------------------------------------------- children */

static int submit_child(struct store_fixture *f, const char *id,
			const char *parent, bool bound, struct reply *reply)
{
	struct store_job_new job = { .id = id,
				     .name = "child",
				     .runtime = "python",
				     .executor = "sandbox",
				     .parent = parent,
				     .max_children = 3,
				     .max_depth = 2,
				     .max_family = 4,
				     .bound = bound,
				     .spec = STORE_STR("{}"),
				     .script = STORE_STR("1"),
				     .input = STORE_STR("1") };

	return STORE_WAIT(f, reply, store_job_submit, &job);
}

static void run_claimed(struct store_fixture *f, const char *ex)
{
	struct reply reply;

	assert_int_equal(claim_job(f, ex, &reply), 0);
	assert_int_equal(start_execution(f, ex, 1), 0);
}

static void test_family_limits(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(submit_child(f, "job_2", "ex_1", false, &reply), 0);
	run_claimed(f, "ex_2");
	assert_int_equal(submit_child(f, "job_3", "ex_2", false, &reply), 0);
	run_claimed(f, "ex_3");
	assert_int_equal(submit_child(f, "job_4", "ex_3", false, &reply),
			 STORE_E_FAMILY);
	assert_non_null(strstr(reply.result.message, "2 deep"));
	assert_int_equal(submit_child(f, "job_5", "ex_1", false, &reply), 0);
	assert_int_equal(submit_child(f, "job_6", "ex_1", false, &reply), 0);
	assert_int_equal(submit_child(f, "job_7", "ex_1", false, &reply),
			 STORE_E_FAMILY);
	assert_non_null(strstr(reply.result.message, "3 jobs"));
	/* Neither wide nor deep, but the fifth of all. */
	assert_int_equal(submit_child(f, "job_10", "ex_2", false, &reply),
			 STORE_E_FAMILY);
	assert_non_null(strstr(reply.result.message, "4 jobs have come"));
	assert_int_equal(complete_execution(f, "ex_2", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(submit_child(f, "job_8", "ex_2", false, &reply),
			 STORE_E_ENDED);
	assert_int_equal(submit_child(f, "job_9", "ex_none", false, &reply),
			 STORE_E_NOT_FOUND);
}

static void test_orphans(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	start_job(f, "job_1", "ex_1");
	assert_int_equal(submit_child(f, "job_2", "ex_1", true, &reply), 0);
	run_claimed(f, "ex_2");
	assert_int_equal(submit_child(f, "job_3", "ex_1", true, &reply), 0);
	assert_int_equal(submit_child(f, "job_4", "ex_1", false, &reply), 0);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_cancel_orphans), 0);
	assert_int_equal(reply.result.jobs.n, 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_cancel_orphans), 0);
	assert_int_equal(reply.result.jobs.n, 2);
	assert_int_equal(job_state_of(f, "job_2"), JOB_RUNNING);
	assert_int_equal(job_state_of(f, "job_3"), JOB_CANCELLED);
	assert_int_equal(job_state_of(f, "job_4"), JOB_QUEUED);
	STORE_WAIT(f, &reply, store_job_get, "job_2");
	assert_true(reply.result.job.cancel_requested);
	assert_int_equal(STORE_WAIT0(f, &reply, store_job_cancel_orphans), 0);
	assert_int_equal(reply.result.jobs.n, 0);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_first_outcome_is_repeated),
		T(test_unknown_outcome),
		T(test_key_of_another_request),
		T(test_forgotten_with_the_execution),
		T(test_unknown_execution),
		T(test_audit),
		T(test_replies_are_sealed),
		T(test_family_limits),
		T(test_orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
