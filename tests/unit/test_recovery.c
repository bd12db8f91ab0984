/* What is done with an execution that an earlier process has left open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/json.h"
#include "common/wal/replay.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/journal.h"
#include "orchestrator/log_forward.h"
#include "orchestrator/recovery.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static struct executor_set *here; /* has the executor "ssh" alone */

static struct recovery_plan judge(enum wal_type state, const char *executor,
				  const char *boot)
{
	struct wal_execution past = { .state = state };
	struct recovery_plan plan;

	past.claimed = json_pack("{s:s}", "boot", boot);
	if (executor)
		past.pod = json_pack("{s:s,s:s,s:s}", "pod", "pod_1",
				     "executor", executor, "boot", boot);
	recovery_judge(&past, here, BOOT, &plan);
	json_decref(past.pod);
	json_decref(past.claimed);
	return plan;
}

static void test_what_has_not_begun_is_given_back(void **state)
{
	struct recovery_plan plan = judge(WAL_CLAIMED, NULL, BOOT);

	assert_int_equal(plan.verdict, RECOVERY_RELEASE);
	plan = judge(WAL_POD_CREATED, "ssh", BOOT);
	assert_int_equal(plan.verdict, RECOVERY_RELEASE);
}

/* The record that it has begun may be lost with the machine: the backend's word
 * counts, and is asked for at once. */
static void test_after_another_boot_nothing_is_certain(void **state)
{
	struct recovery_plan plan = judge(WAL_POD_CREATED, "ssh", "other");

	assert_int_equal(plan.verdict, RECOVERY_LOSE);
	assert_non_null(strstr(plan.why, "about to begin"));
	plan = judge(WAL_CLAIMED, NULL, "other");
	assert_int_equal(plan.verdict, RECOVERY_LOSE);
	plan = judge(WAL_STARTED, "ssh", "other");
	assert_int_equal(plan.verdict, RECOVERY_LOSE);
	assert_non_null(strstr(plan.why, "machine"));
}

static void test_what_ends_with_us_is_lost(void **state)
{
	struct recovery_plan plan = judge(WAL_STARTED, "ssh", BOOT);

	assert_int_equal(plan.verdict, RECOVERY_LOSE);
	assert_non_null(strstr(plan.why, "host"));
	plan = judge(WAL_STARTED, "podman", BOOT);
	assert_int_equal(plan.verdict, RECOVERY_LOSE);
	assert_non_null(strstr(plan.why, "'podman'"));
}

static void test_an_assignment_comes_back_without_secrets(void **state)
{
	static const char json[] =
		"{\"execution\":\"ex_1\",\"job\":\"job_1\",\"epoch\":3,"
		"\"lease_ms\":9000,\"script_bytes\":0,\"input_bytes\":0,"
		"\"runtime_token\":\"R0TOKEN\",\"backend_token\":\"B0TOKEN\","
		"\"created_ms\":5,\"context\":{\"trace_id\":\"t1\"},\"spec\":{"
		"\"name\":\"a.py\",\"executor\":\"docker\",\"image\":\"i:1\","
		"\"timeout_ms\":7000,\"memory_mb\":64,\"args\":[\"A0RG\"],"
		"\"env\":{\"K\":\"E0NV\"},\"runtime\":{\"type\":\"python\","
		"\"retries\":2,\"permissions\":{\"net\":[\"h:1\"]}}}}";
	_cleanup_(assignment_freep) struct assignment *a = NULL, *b = NULL;
	_cleanup_json_ json_t *described = NULL;
	_cleanup_free_ char *text = NULL;
	char err[256];

	assert_int_equal(assignment_new(&a, json, sizeof(json) - 1, err,
					sizeof(err)),
			 0);
	described = assignment_describe(a);
	text = json_dumps(described, 0);
	assert_null(strstr(text, "0TOKEN"));
	assert_null(strstr(text, "A0RG"));
	assert_null(strstr(text, "E0NV"));
	assert_int_equal(assignment_restore(&b, "ex_1", "job_1", described, err,
					    sizeof(err)),
			 0);
	assert_string_equal(b->execution, "ex_1");
	assert_int_equal(b->epoch, 3);
	assert_int_equal(b->timeout_ms, 7000);
	assert_int_equal(b->memory_mb, 64);
	assert_int_equal(b->retries, 2);
	assert_string_equal(b->trace, "t1");
	assert_string_equal(b->image, "i:1");
	assert_int_equal(assignment_created_ms(a), 5);
}

static void test_points_of_a_log(void **state)
{
	_cleanup_json_ json_t *data = json_loads(
		"{\"offset\":9,\"stdout\":7,\"stderr\":1,\"notice\":2,"
		"\"masks\":[3,true,0,false],\"from\":{\"offset\":4,"
		"\"stdout\":5,\"dropped\":6}}",
		0, NULL);
	struct log_point from, to;

	journal_read_output(data, &from, &to);
	assert_int_equal(to.offset, 9);
	assert_int_equal(to.at.raw[LOG_STDOUT], 7);
	assert_int_equal(to.at.raw[LOG_NOTICE], 2);
	assert_int_equal(to.at.masks[LOG_STDOUT].covered, 3);
	assert_true(to.at.masks[LOG_STDOUT].in_mask);
	assert_false(to.full);
	assert_int_equal(from.offset, 4);
	assert_int_equal(from.at.raw[LOG_STDOUT], 5);
	assert_true(from.full);
	assert_int_equal(from.dropped, 6);
	journal_read_output(NULL, &from, &to);
	assert_int_equal(from.offset + to.offset, 0);
}

static int setup(void **state)
{
	const char *names[] = { "ssh" };
	const struct option_list list = { .items = names, .n = 1 };
	static const struct executor_config config = {
		.sidecar_path = "/dev/null",
		.backend_dir = "/",
	};
	char err[256];

	return executor_set_new(&here, &config, &list, err, sizeof(err));
}

static int teardown(void **state)
{
	executor_set_free(here);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_has_not_begun_is_given_back),
		cmocka_unit_test(test_after_another_boot_nothing_is_certain),
		cmocka_unit_test(test_what_ends_with_us_is_lost),
		cmocka_unit_test(test_an_assignment_comes_back_without_secrets),
		cmocka_unit_test(test_points_of_a_log),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
