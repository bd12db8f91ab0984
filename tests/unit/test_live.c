#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/live.h"
#include "backend/store.h"

static int setup(void **state)
{
	return live_new((struct live **)state);
}

static int teardown(void **state)
{
	live_free(*state);
	return 0;
}

static struct store_job job_of(const char *execution, enum job_state state)
{
	return (struct store_job){
		.id = "job_1",
		.execution = execution,
		.agent = "a",
		.epoch = 7,
		.state = state,
	};
}

static void update(struct live *l, const char *execution, enum job_state state)
{
	struct store_job job = job_of(execution, state);

	assert_int_equal(live_update(l, &job), 0);
}

static void test_life(void **state)
{
	struct live *l = *state;

	assert_null(live_find(l, "ex_1"));
	update(l, NULL, JOB_QUEUED);
	update(l, "ex_1", JOB_CLAIMED);
	assert_non_null(live_find(l, "ex_1"));
	assert_false(live_find(l, "ex_1")->started);
	assert_int_equal(live_find(l, "ex_1")->epoch, 7);
	update(l, "ex_1", JOB_RUNNING);
	assert_true(live_find(l, "ex_1")->started);
	update(l, "ex_2", JOB_CLAIMED);
	assert_int_equal(live_count(l), 2);
	assert_int_equal(live_count_agent(l, "a"), 2);
	assert_int_equal(live_count_agent(l, "b"), 0);
	update(l, "ex_1", JOB_LOST);
	update(l, "ex_2", JOB_QUEUED);
	assert_int_equal(live_count(l), 0);
	update(l, "ex_2", JOB_QUEUED);
}

static void test_cancel(void **state)
{
	struct store_job job = job_of("ex_1", JOB_CLAIMED);

	job.cancel_requested = true;
	job.cancel_reason = "why";
	assert_int_equal(live_update(*state, &job), 0);
	assert_int_equal(live_update(*state, &job), 0);
	assert_true(live_find(*state, "ex_1")->cancel_requested);
	assert_string_equal(live_find(*state, "ex_1")->cancel_reason, "why");
}

static struct live_token *add_token(struct live *l, uint8_t n)
{
	uint8_t digest[TOKEN_DIGEST_BYTES] = { n };
	struct token_claims claims = { .subject = strdup("ex_1") };

	struct live_token *token = live_token_add(l, live_find(l, "ex_1"),
						  digest, &claims);

	assert_non_null(token);
	return token;
}

static struct live_token *find_token(struct live *l, uint8_t n)
{
	uint8_t digest[TOKEN_DIGEST_BYTES] = { n };

	return live_token_find(l, digest);
}

static void test_tokens_end_with_the_execution(void **state)
{
	struct live_token *kept;

	update(*state, "ex_1", JOB_RUNNING);
	kept = live_token_ref(add_token(*state, 1));
	assert_ptr_equal(find_token(*state, 1), kept);
	update(*state, "ex_1", JOB_SUCCEEDED);
	assert_null(find_token(*state, 1));
	/* A call under way may still look at its claims. */
	assert_string_equal(kept->claims.subject, "ex_1");
	live_token_unref(kept);
	live_token_unref(NULL);
}

static void test_tokens_are_bounded(void **state)
{
	update(*state, "ex_1", JOB_RUNNING);
	for (uint8_t i = 0; i < LIVE_TOKENS_MAX + 3; i++)
		assert_non_null(add_token(*state, i));
	assert_null(find_token(*state, 2));
	assert_non_null(find_token(*state, 3));
	assert_non_null(find_token(*state, LIVE_TOKENS_MAX + 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_tokens_end_with_the_execution, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens_are_bounded, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
