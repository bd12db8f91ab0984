/*
 * A backend whose clock falls behind, or stood still while its machine slept:
 * leases are by the database's. CRONIUM_TEST_STORE names the server. Link it
 * with --wrap for clock_steady_ms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend/db_postgres_impl.h"
#include "backend/store_queue.h"
#include "common/clock.h"
#include "store_fixture.h"

#define BEHIND_MS 3600000
#define NEAR_MS 10000 /* the machine may be busy */

static _Atomic int64_t behind_ms;

int64_t __real_clock_steady_ms(void);
int64_t __wrap_clock_steady_ms(void);

int64_t __wrap_clock_steady_ms(void)
{
	return __real_clock_steady_ms() - behind_ms;
}

static int64_t lease_left_ms(struct store_fixture *f)
{
	return store_fixture_sql(
		f, "SELECT (lease_until_ms - extract(epoch FROM "
		   "clock_timestamp()) * 1000)::bigint FROM executions "
		   "ORDER BY seq DESC LIMIT 1");
}

static void check_clock(struct store_fixture *f)
{
	struct reply reply;
	int64_t off_ms;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_in_range(lease_left_ms(f), 30000 - NEAR_MS, 30000);
	off_ms = store_now_ms(f->store) - clock_wall_ms();
	assert_in_range(llabs(off_ms), 0, NEAR_MS);
}

static void test_a_clock_that_stood_still(void **state)
{
	struct store_fixture *f = *state;

	behind_ms = BEHIND_MS;
	check_clock(f);
}

static void test_a_clock_that_jumped_ahead(void **state)
{
	struct store_fixture *f = *state;

	behind_ms = -BEHIND_MS;
	check_clock(f);
}

/* In each transaction: nobody waits for the next comparison. */
static int set_up(void **state)
{
	behind_ms = 0;
	postgres_limits.clock_ms = 0;
	return store_fixture_setup(state);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, set_up, store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_clock_that_stood_still),
		T(test_a_clock_that_jumped_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
