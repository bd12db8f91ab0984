/* When a stream asks again, and what a query may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sidecar/stream_call.h"
#include "sidecar/stream_retry.h"

static void test_backoff(void **state)
{
	struct stream_retry r = { 0 };

	/* Full jitter: from nothing up to a bound that doubles. */
	assert_int_equal(stream_retry_plan(&r, 1000, 0), 0);
	assert_int_equal(stream_retry_plan(&r, 1000, UINT32_MAX),
			 2 * STREAM_BACKOFF_INITIAL_MS);
	assert_int_equal(stream_retry_plan(&r, 1000, UINT32_MAX),
			 4 * STREAM_BACKOFF_INITIAL_MS);
	for (int i = 0; i < 100; i++)
		assert_true(stream_retry_plan(&r, 1000, UINT32_MAX) <=
			    STREAM_BACKOFF_MAX_MS);
	assert_int_equal(stream_retry_plan(&r, 1000, UINT32_MAX),
			 STREAM_BACKOFF_MAX_MS);
	stream_retry_progress(&r);
	assert_int_equal(stream_retry_plan(&r, 1000, UINT32_MAX),
			 STREAM_BACKOFF_INITIAL_MS);
}

static void test_lost(void **state)
{
	struct stream_retry r = { 0 };

	assert_true(stream_retry_plan(&r, 5000, 0) >= 0);
	assert_true(stream_retry_plan(&r, 5000 + STREAM_LOST_MS - 1, 0) >= 0);
	assert_int_equal(stream_retry_plan(&r, 5000 + STREAM_LOST_MS, 0), -1);
	assert_int_equal(stream_retry_plan(&r, 6000 + STREAM_LOST_MS, 0), -1);
}

/* However often it fails, as long as it answers in between. */
static void test_contact_keeps_it(void **state)
{
	struct stream_retry r = { 0 };
	uint64_t now = 1;

	for (int i = 0; i < 100; i++, now += STREAM_LOST_MS / 2) {
		assert_true(stream_retry_plan(&r, now, UINT32_MAX) >= 0);
		stream_retry_contact(&r);
	}
	/* It was of no use: that it failed so often is not forgotten. */
	assert_int_equal(stream_retry_plan(&r, now, UINT32_MAX),
			 STREAM_BACKOFF_MAX_MS);
}

static void test_number(void **state)
{
	static const char *const bad[] = {
		"",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1.0",
		"1e3",
		"0x10",
		"9223372036854775808",
		"99999999999999999999",
	};
	uint64_t n = 0;

	assert_true(stream_number_parse("0", &n));
	assert_int_equal(n, 0);
	assert_true(stream_number_parse("0012", &n));
	assert_int_equal(n, 12);
	assert_true(stream_number_parse("9223372036854775807", &n));
	assert_true(n == INT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(stream_number_parse(bad[i], &n));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_contact_keeps_it),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
