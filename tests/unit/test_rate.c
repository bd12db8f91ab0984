#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sidecar/rate.h"

#define MINUTE_MS 60000

static struct rate make(uint64_t per_min, uint64_t burst, uint64_t now_ms)
{
	const struct rate_limit limit = { per_min, burst };
	struct rate r;

	rate_init(&r, &limit, now_ms);
	return r;
}

static void test_burst_then_wait(void **state)
{
	struct rate r = make(60, 3, 1000);

	for (int i = 0; i < 3; i++)
		assert_int_equal(rate_take(&r, 1000), 0);
	/* One a second. */
	assert_int_equal(rate_take(&r, 1000), 1000);
	assert_int_equal(rate_take(&r, 1999), 1);
	assert_int_equal(rate_take(&r, 2000), 0);
	assert_int_equal(rate_take(&r, 2000), 1000);
}

static void test_wait_is_exact(void **state)
{
	struct rate r = make(7, 1, 0);
	uint64_t wait;

	assert_int_equal(rate_take(&r, 0), 0);
	wait = rate_take(&r, 0);
	assert_int_equal(wait, (MINUTE_MS + 6) / 7);
	assert_int_equal(rate_take(&r, wait - 1), 1);
	assert_int_equal(rate_take(&r, wait), 0);
}

/* Asked at any pace, a minute gives what it should: nothing is rounded away. */
static void test_rate_over_time(void **state)
{
	static const uint64_t rates[] = { 1, 7, 59, 60, 61, 1000, 59999 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct rate r = make(rates[i], 2, 0);
		uint64_t n = 0;

		for (uint64_t ms = 0; ms <= 10 * MINUTE_MS; ms++)
			n += !rate_take(&r, ms);
		assert_in_range(n, 10 * rates[i] + 1, 10 * rates[i] + 2);
	}
}

static void test_never_more_than_the_burst(void **state)
{
	struct rate r = make(1000, 5, 0);

	for (int i = 0; i < 5; i++)
		assert_int_equal(rate_take(&r, UINT64_MAX / 2), 0);
	assert_int_not_equal(rate_take(&r, UINT64_MAX / 2), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rate_take(&r, UINT64_MAX), 0);
	assert_int_not_equal(rate_take(&r, UINT64_MAX), 0);
}

static void test_time_that_stands_still(void **state)
{
	struct rate r = make(60000, 1, 100);

	assert_int_equal(rate_take(&r, 100), 0);
	assert_int_equal(rate_take(&r, 50), 1);
	assert_int_equal(rate_take(&r, 100), 1);
	assert_int_equal(rate_take(&r, 101), 0);
}

static void test_no_limit(void **state)
{
	struct rate r = make(0, 0, 0);

	for (int i = 0; i < 100000; i++)
		assert_int_equal(rate_take(&r, 0), 0);
}

static void test_odd_limits(void **state)
{
	struct rate r = make(60, 0, 0);

	assert_int_equal(rate_take(&r, 0), 0);
	assert_int_equal(rate_take(&r, 0), 1000);
	r = make(UINT64_MAX, UINT64_MAX, 0);
	assert_int_equal(r.limit.per_min, RATE_MAX);
	assert_int_equal(r.limit.burst, RATE_MAX);
	assert_int_equal(rate_take(&r, UINT64_MAX), 0);
}

static void test_retry_after(void **state)
{
	assert_int_equal(rate_wait_s(0), 1);
	assert_int_equal(rate_wait_s(1), 1);
	assert_int_equal(rate_wait_s(1000), 1);
	assert_int_equal(rate_wait_s(1001), 2);
	assert_int_equal(rate_wait_s(60000), 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_wait),
		cmocka_unit_test(test_wait_is_exact),
		cmocka_unit_test(test_rate_over_time),
		cmocka_unit_test(test_never_more_than_the_burst),
		cmocka_unit_test(test_time_that_stands_still),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_odd_limits),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
