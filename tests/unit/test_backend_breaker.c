/* backend-client/breaker.c: pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend-client/breaker.h"

static struct breaker make(void)
{
	struct breaker b;

	breaker_init(&b, 3, 1000);
	return b;
}

static struct breaker make_open(uint64_t now)
{
	struct breaker b = make();

	while (b.state != BACKEND_OPEN)
		breaker_failure(&b, now);
	return b;
}

static void test_opens_after_consecutive_failures(void **state)
{
	struct breaker b = make();

	assert_false(breaker_failure(&b, 0));
	assert_false(breaker_failure(&b, 0));
	breaker_success(&b);
	assert_false(breaker_failure(&b, 0));
	assert_false(breaker_failure(&b, 0));
	assert_true(breaker_admit(&b, 0));
	assert_true(breaker_failure(&b, 0));
	assert_int_equal(b.state, BACKEND_OPEN);
	assert_false(breaker_admit(&b, 999));
}

static void test_one_trial_at_a_time(void **state)
{
	struct breaker b = make_open(0);

	assert_int_equal(breaker_wait_until(&b, 1), 1000);
	assert_int_equal(breaker_wait_until(&b, 1000), 0);
	assert_true(breaker_admit(&b, 1000));
	assert_int_equal(b.state, BACKEND_HALF_OPEN);
	assert_false(breaker_admit(&b, 1000));
}

static void test_trial_succeeds(void **state)
{
	struct breaker b = make_open(0);

	assert_true(breaker_admit(&b, 1000));
	breaker_success(&b);
	assert_int_equal(b.state, BACKEND_CLOSED);
	assert_true(breaker_admit(&b, 1000));
	assert_false(breaker_failure(&b, 1000));
}

static void test_trial_fails(void **state)
{
	struct breaker b = make_open(0);

	assert_true(breaker_admit(&b, 1500));
	assert_true(breaker_failure(&b, 1500));
	assert_false(breaker_admit(&b, 2499));
	assert_true(breaker_admit(&b, 2500));
}

static void test_trial_without_verdict(void **state)
{
	struct breaker b = make_open(0);

	assert_true(breaker_admit(&b, 1000));
	breaker_abandon(&b);
	assert_int_equal(b.state, BACKEND_HALF_OPEN);
	assert_true(breaker_admit(&b, 1000));
}

static void test_failures_while_open_do_not_extend_it(void **state)
{
	struct breaker b = make_open(0);

	assert_false(breaker_failure(&b, 900));
	assert_true(breaker_admit(&b, 1000));
}

static void test_threshold_zero_means_one(void **state)
{
	struct breaker b;

	breaker_init(&b, 0, 10);
	assert_true(breaker_failure(&b, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_after_consecutive_failures),
		cmocka_unit_test(test_one_trial_at_a_time),
		cmocka_unit_test(test_trial_succeeds),
		cmocka_unit_test(test_trial_fails),
		cmocka_unit_test(test_trial_without_verdict),
		cmocka_unit_test(test_failures_while_open_do_not_extend_it),
		cmocka_unit_test(test_threshold_zero_means_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
