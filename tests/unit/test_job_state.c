#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/job_state.h"

static void test_names(void **state)
{
	enum job_state s;

	for (int i = 0; i < JOB_STATES; i++) {
		assert_int_equal(
			job_state_parse(job_state_name((enum job_state)i), &s),
			0);
		assert_int_equal(s, i);
	}
	assert_int_equal(job_state_parse("done", &s), -EINVAL);
	assert_string_equal(job_state_name(JOB_STATES), "?");
}

static void test_moves(void **state)
{
	/* One row a state it moves from, in the order of the enum. */
	static const char *const allowed[JOB_STATES] = {
		[JOB_QUEUED] = ".x..x.x.",    [JOB_CLAIMED] = "x.xxxxxx",
		[JOB_RUNNING] = "x..xxxxx",   [JOB_SUCCEEDED] = "........",
		[JOB_FAILED] = "........",    [JOB_TIMED_OUT] = "........",
		[JOB_CANCELLED] = "........", [JOB_LOST] = "........",
	};

	for (int from = 0; from < JOB_STATES; from++)
		for (int to = 0; to < JOB_STATES; to++)
			assert_int_equal(
				job_state_may_move((enum job_state)from,
						   (enum job_state)to),
				allowed[from][to] == 'x');
}

static void test_ended_and_live(void **state)
{
	assert_false(job_state_ended(JOB_QUEUED));
	assert_false(job_state_ended(JOB_RUNNING));
	assert_true(job_state_ended(JOB_LOST));
	assert_false(job_state_live(JOB_QUEUED));
	assert_true(job_state_live(JOB_CLAIMED));
	assert_false(job_state_live(JOB_SUCCEEDED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_ended_and_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
