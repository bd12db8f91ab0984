/* backend-client/retry.c and endpoint.c: pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "backend-client/endpoint.h"
#include "backend-client/retry.h"

static const struct retry_backoff backoff = { .initial_ms = 20,
					      .max_ms = 2000 };

static void test_delay_stays_in_range(void **state)
{
	assert_int_equal(retry_delay_ms(&backoff, 1, 0), 0);
	assert_int_equal(retry_delay_ms(&backoff, 1, UINT32_MAX), 20);
	assert_int_equal(retry_delay_ms(&backoff, 4, UINT32_MAX), 160);
	assert_int_equal(retry_delay_ms(&backoff, 4, UINT32_MAX / 2), 80);
	assert_int_equal(retry_delay_ms(&backoff, 8, UINT32_MAX), 2000);
	assert_int_equal(retry_delay_ms(&backoff, 4000000, UINT32_MAX), 2000);
}

static bool plan(enum backend_retry mode, enum retry_cause cause,
		 unsigned int attempts, uint64_t deadline)
{
	const struct retry_call call = { .mode = mode,
					 .attempts = attempts,
					 .deadline_ms = deadline };
	uint64_t at;

	return retry_plan(&backoff, &call, cause, 0, 1000, UINT32_MAX, &at);
}

static void test_modes(void **state)
{
	assert_false(plan(BACKEND_RETRY_NEVER, RETRY_UNSENT, 1, 9000));
	assert_true(plan(BACKEND_RETRY_UNSENT, RETRY_UNSENT, 1, 9000));
	assert_false(plan(BACKEND_RETRY_UNSENT, RETRY_BROKEN, 1, 9000));
	assert_false(plan(BACKEND_RETRY_UNSENT, RETRY_STATUS, 1, 9000));
	assert_false(plan(BACKEND_RETRY_UNSENT, RETRY_TIMEOUT, 1, 9000));
	assert_true(plan(BACKEND_RETRY_SAFE, RETRY_BROKEN, 1, 9000));
	assert_true(plan(BACKEND_RETRY_SAFE, RETRY_STATUS, 1, 9000));
	assert_true(plan(BACKEND_RETRY_SAFE, RETRY_TIMEOUT, 1, 9000));
}

static void test_deadline_ends_it(void **state)
{
	assert_false(plan(BACKEND_RETRY_SAFE, RETRY_BROKEN, 8, 1100));
	assert_true(plan(BACKEND_RETRY_SAFE, RETRY_BROKEN, 80, 9000));
}

static void test_without_deadline_attempts_are_bounded(void **state)
{
	assert_true(plan(BACKEND_RETRY_SAFE, RETRY_BROKEN,
			 RETRY_ATTEMPTS_MAX - 1, 0));
	assert_false(
		plan(BACKEND_RETRY_SAFE, RETRY_BROKEN, RETRY_ATTEMPTS_MAX, 0));
}

static void test_first_unsent_goes_at_once(void **state)
{
	const struct retry_call call = { .mode = BACKEND_RETRY_UNSENT,
					 .attempts = 1 };
	uint64_t at;

	assert_true(retry_plan(&backoff, &call, RETRY_UNSENT, 0, 1000,
			       UINT32_MAX, &at));
	assert_int_equal(at, 1000);
}

static void test_backend_may_ask_for_more_time(void **state)
{
	const struct retry_call call = { .mode = BACKEND_RETRY_SAFE,
					 .attempts = 1,
					 .deadline_ms = 5000 };
	uint64_t at;

	assert_true(
		retry_plan(&backoff, &call, RETRY_STATUS, 3000, 1000, 0, &at));
	assert_int_equal(at, 4000);
	assert_false(
		retry_plan(&backoff, &call, RETRY_STATUS, 4000, 1000, 0, &at));
}

static void test_retry_after(void **state)
{
	assert_int_equal(retry_after_ms(NULL), 0);
	assert_int_equal(retry_after_ms(""), 0);
	assert_int_equal(retry_after_ms("2"), 2000);
	assert_int_equal(retry_after_ms("-2"), 0);
	assert_int_equal(retry_after_ms("Fri, 31 Dec 1999 23:59:59 GMT"), 0);
	assert_int_equal(retry_after_ms("99999999999999999999"), 3600000);
}

static void test_status(void **state)
{
	assert_true(retry_status(429));
	assert_true(retry_status(502) && retry_status(503) &&
		    retry_status(504));
	assert_false(retry_status(500) || retry_status(200) ||
		     retry_status(409));
}

static void check_endpoint(const char *text, enum endpoint_kind kind,
			   const char *host, uint16_t port,
			   const char *authority)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(&e, text), 0);
	assert_int_equal(e.kind, kind);
	assert_string_equal(e.host, host);
	assert_int_equal(e.port, port);
	assert_string_equal(e.authority, authority);
	endpoint_deinit(&e);
}

static void test_endpoints(void **state)
{
	check_endpoint("unix:/run/x.sock", ENDPOINT_UNIX, "/run/x.sock", 0,
		       "localhost");
	check_endpoint("http://localhost:8642", ENDPOINT_TCP, "localhost", 8642,
		       "localhost:8642");
	check_endpoint("http://10.0.0.1/", ENDPOINT_TCP, "10.0.0.1", 80,
		       "10.0.0.1");
	check_endpoint("https://[::1]:8443", ENDPOINT_TLS, "::1", 8443,
		       "[::1]:8443");
	check_endpoint("https://example.org", ENDPOINT_TLS, "example.org", 443,
		       "example.org");
}

static void test_bad_endpoints(void **state)
{
	static const char *const bad[] = {
		"",
		"localhost:8642",
		"unix:",
		"unix:run/x.sock",
		"http://",
		"http://:80",
		"http://a:0",
		"http://a:65536",
		"http://a:8x",
		"http://a:",
		"http://a/b",
		"http://a?b",
		"http://[::1:80",
		"http://user@a:80",
		"http://a b:80",
		"ftp://example.org/",
		"http://[::1]x:80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct endpoint e;

		if (endpoint_parse(&e, bad[i]) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_stays_in_range),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_deadline_ends_it),
		cmocka_unit_test(test_without_deadline_attempts_are_bounded),
		cmocka_unit_test(test_first_unsent_goes_at_once),
		cmocka_unit_test(test_backend_may_ask_for_more_time),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_bad_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
