#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/outcome.h"

static struct outcome judge(struct outcome_facts facts)
{
	struct outcome out;

	if (!facts.detail)
		facts.detail = "";
	outcome_judge(&facts, &out);
	return out;
}

#define EXIT(code, sig, oom)                                          \
	{                                                             \
		.exited = true, .exit_code = (code), .signal = (sig), \
		.oom_killed = (oom)                                   \
	}

static void assert_outcome(struct outcome_facts facts, const char *state,
			   const char *reason)
{
	struct outcome out = judge(facts);

	assert_string_equal(out.state, state);
	assert_string_equal(out.reason, reason);
}

static void test_by_itself(void **state)
{
	assert_outcome((struct outcome_facts){ .exit = EXIT(0, 0, false) },
		       "succeeded", "");
	assert_outcome((struct outcome_facts){ .exit = EXIT(3, 0, false) },
		       "failed", "exit code 3");
	assert_outcome((struct outcome_facts){ .exit = EXIT(139, 11, false) },
		       "failed", "killed by signal 11 (SIGSEGV)");
	assert_outcome((struct outcome_facts){ .exit = EXIT(128 + 250, 250,
							    false) },
		       "failed", "killed by signal 250");
}

static void test_could_not_start(void **state)
{
	struct outcome_facts facts = { .exit = EXIT(127, 0, false) };

	strcpy(facts.exit.error, "cannot run node: not found");
	assert_outcome(facts, "failed", "cannot run node: not found");
}

static void test_timeout(void **state)
{
	struct outcome_facts facts = {
		.cause = OUTCOME_CAUSE_TIMEOUT,
		.exit = EXIT(143, 15, false),
	};

	facts.timeout_ms = 30000;
	assert_outcome(facts, "timed_out", "timed out after 30 s");
	facts.timeout_ms = 1500;
	assert_outcome(facts, "timed_out", "timed out after 1.5 s");
	facts.timeout_ms = 250;
	assert_outcome(facts, "timed_out", "timed out after 250 ms");
	facts.timeout_ms = 3661001;
	assert_outcome(facts, "timed_out", "timed out after 3661.001 s");
}

static void test_cancel(void **state)
{
	assert_outcome((struct outcome_facts){ .cause = OUTCOME_CAUSE_CANCEL,
					       .detail = "by Ada",
					       .exit = EXIT(0, 0, false) },
		       "cancelled", "by Ada");
}

static void test_oom(void **state)
{
	const char *reason =
		"out of memory: the limit is 512 MB (raise it with --memory)";
	struct outcome_facts facts = { .memory_mb = 512 };

	facts.exit = (struct outcome_exit)EXIT(137, 9, true);
	assert_outcome(facts, "failed", reason);
	/* The executor knows, the runner was killed itself. */
	facts.exit = (struct outcome_exit){ 0 };
	facts.cause = OUTCOME_CAUSE_FAILURE;
	facts.detail = "the pod died";
	facts.oom_killed = true;
	assert_outcome(facts, "failed", reason);
	assert_true(judge(facts).oom_killed);
	assert_int_equal(judge(facts).exit.exit_code, -1);
	/* A child was killed, and the script coped. */
	facts = (struct outcome_facts){ .exit = EXIT(0, 0, true) };
	assert_outcome(facts, "succeeded", "");
	assert_true(judge(facts).oom_killed);
}

static void test_failure(void **state)
{
	assert_outcome((struct outcome_facts){ .cause = OUTCOME_CAUSE_FAILURE,
					       .detail = "no such image" },
		       "failed", "no such image");
}

static int parse(struct outcome_exit *out, const char *json)
{
	return outcome_exit_parse(out, json, strlen(json));
}

static void test_parse(void **state)
{
	struct outcome_exit ex;

	assert_int_equal(parse(&ex, "{\"exit_code\":137,\"signal\":9,"
				    "\"oom_killed\":true,\"error\":null,"
				    "\"user_us\":1,\"system_us\":2,"
				    "\"max_rss_kb\":3}"),
			 0);
	assert_true(ex.exited);
	assert_true(ex.oom_killed);
	assert_int_equal(ex.exit_code, 137);
	assert_int_equal(ex.signal, 9);
	assert_int_equal(
		ex.usage.user_us + ex.usage.system_us + ex.usage.max_rss_kb, 6);
	assert_string_equal(ex.error, "");

	assert_int_equal(parse(&ex, "{\"exit_code\":0,\"signal\":null}"), 0);
	assert_int_equal(ex.signal, 0);
	assert_true(parse(&ex, "[]") < 0);
	assert_true(parse(&ex, "") < 0);
	assert_true(parse(&ex, "{\"exit_code\":\"0\"}") < 0);
	assert_true(parse(&ex, "{}") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_itself),
		cmocka_unit_test(test_could_not_start),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_oom),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
