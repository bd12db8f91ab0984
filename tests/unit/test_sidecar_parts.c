/* The small pure parts of the sidecar: assignment, limits, metrics, secrets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "sidecar/assignment.h"
#include "sidecar/limits.h"
#include "sidecar/metrics.h"
#include "sidecar/secrets.h"

#define WHO                                                                \
	"\"execution\":\"ex_1\",\"job\":\"job_1\",\"issuer\":\"cronium\"," \
	"\"backend_token\":\"secret\",\"public_key\":\"pem\""

static int parse(const char *json, struct assignment *a)
{
	char err[256] = "";
	int r = assignment_parse(a, json, strlen(json), err, sizeof(err));

	if (r < 0)
		assert_true(*err);
	return r;
}

static void test_assignment(void **state)
{
	struct assignment a;

	assert_int_equal(
		parse("{" WHO ",\"context\":{\"b\":1,\"a\":[2]},"
		      "\"input_bytes\":12,\"limits\":{\"cache_ttl_ms\":0,"
		      "\"cache_bytes\":5,\"output_bytes\":6,"
		      "\"value_bytes\":7,\"forward_per_min\":8,"
		      "\"forward_burst\":9,\"tools_per_min\":0,"
		      "\"tools_burst\":11},\"new\":true}",
		      &a),
		0);
	assert_string_equal(a.execution, "ex_1");
	assert_string_equal(a.backend_token, "secret");
	assert_string_equal(buf_cstr(&a.context), "{\"b\":1,\"a\":[2]}");
	assert_int_equal(a.input_bytes, 12);
	assert_int_equal(a.cache_ttl_ms, 0);
	assert_int_equal(a.cache_bytes, 5);
	assert_int_equal(a.output_bytes, 6);
	assert_int_equal(a.value_bytes, 7);
	assert_int_equal(a.rate[RATE_FORWARD].per_min, 8);
	assert_int_equal(a.rate[RATE_FORWARD].burst, 9);
	assert_int_equal(a.rate[RATE_TOOLS].per_min, 0);
	assert_int_equal(a.rate[RATE_TOOLS].burst, 11);
	assignment_deinit(&a);
	assignment_deinit(&a);
}

static void test_assignment_defaults(void **state)
{
	struct assignment a;

	assert_int_equal(parse("{" WHO "}", &a), 0);
	assert_string_equal(buf_cstr(&a.context), "{}");
	assert_string_equal(a.trace, "");
	assert_int_equal(a.cache_ttl_ms, 300000);
	assert_int_equal(a.cache_bytes, 4 << 20);
	assert_int_equal(a.output_bytes, 10 << 20);
	assert_int_equal(a.value_bytes, 1 << 20);
	assert_int_equal(a.rate[RATE_FORWARD].per_min, 1000);
	assert_int_equal(a.rate[RATE_FORWARD].burst, 200);
	assert_int_equal(a.rate[RATE_TOOLS].per_min, 60);
	assert_int_equal(a.rate[RATE_TOOLS].burst, 10);
	assignment_deinit(&a);
	/* Never more than a message can carry. */
	assert_int_equal(parse("{" WHO ",\"limits\":{\"output_bytes\":"
			       "9000000000}}",
			       &a),
			 0);
	assert_int_equal(a.output_bytes, 16 << 20);
	assignment_deinit(&a);
}

static void test_assignment_trace(void **state)
{
	static const char *const bad[] = { "null", "1", "\"\"", "\"trace_1\"" };
	struct assignment a;
	char json[256];

	assert_int_equal(parse("{" WHO ",\"context\":{\"trace_id\":"
			       "\"0af7651916cd43dd8448eb211c80319c\"}}",
			       &a),
			 0);
	assert_string_equal(a.trace, "0af7651916cd43dd8448eb211c80319c");
	assignment_deinit(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(json, sizeof(json),
			 "{" WHO ",\"context\":{\"trace_id\":%s}}", bad[i]);
		assert_int_equal(parse(json, &a), 0);
		assert_string_equal(a.trace, "");
		assignment_deinit(&a);
	}
}

static void test_assignment_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{" WHO,
		"{" WHO "} x",
		"{" WHO ",\"job\":\"twice\"}",
		"{\"execution\":1,\"job\":\"j\"}",
		"{\"execution\":\"\",\"job\":\"j\"}",
	};
	struct assignment a;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i], &a), -EINVAL);
		assignment_deinit(&a);
	}
}

static void test_limits_count(void **state)
{
	struct limits l = { 0 };

	for (int i = 0; i < LIMITS_IN_FLIGHT; i++)
		assert_true(limits_begin(&l, 0));
	assert_false(limits_begin(&l, 0));
	limits_end(&l, 0);
	assert_true(limits_begin(&l, 0));
}

static void test_limits_bytes(void **state)
{
	struct limits l = { 0 };

	assert_true(limits_begin(&l, UINT64_MAX / 2));
	assert_false(limits_begin(&l, 1));
	limits_end(&l, UINT64_MAX / 2);
	assert_true(limits_begin(&l, LIMITS_IN_FLIGHT_BYTES));
	assert_true(limits_begin(&l, 0));
	assert_false(limits_begin(&l, 1));
}

static void test_metrics(void **state)
{
	struct metrics m = { 0 };
	const struct metrics_gauges g = { .cache_bytes = 99,
					  .watches = 5,
					  .breaker = 1 };
	struct buf text = { 0 };
	const char *s;

	metrics_request(&m, METRICS_VARIABLES, 200, 100);
	metrics_request(&m, METRICS_VARIABLES, 404, 1100);
	metrics_request(&m, METRICS_OUTPUT, 503, 250);
	metrics_request(&m, METRICS_HEALTH, 200, 0);
	metrics_request(&m, METRICS_HEALTH, 0, 0);
	m.rate_limited[RATE_TOOLS] = 3;
	m.invalidations = 4;
	metrics_backend(&m, 200, 0);
	metrics_backend(&m, 2000000, 1);
	metrics_backend(&m, 99000000, 1);
	assert_int_equal(metrics_requests(&m), 3);
	assert_int_equal(metrics_errors(&m), 1);
	assert_int_equal(metrics_append(&m, &g, &text), 0);
	s = buf_cstr(&text);
	assert_non_null(strstr(s, "requests_total{class=\"variables\","
				  "status=\"2xx\"} 1\n"));
	assert_non_null(strstr(s, "_cache_bytes 99\n"));
	assert_non_null(strstr(s, "backend_calls_total{result=\"failed\"} 2"));
	assert_non_null(strstr(s, "backend_seconds_bucket{le=\"0.00025\"} 1"));
	assert_non_null(strstr(s, "backend_seconds_bucket{le=\"10\"} 2\n"));
	assert_non_null(strstr(s, "backend_seconds_bucket{le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(s, "backend_seconds_sum 101.000200\n"));
	assert_non_null(strstr(s, "request_seconds_bucket{class=\"variables\","
				  "le=\"0.00025\"} 1\n"));
	assert_non_null(strstr(s, "request_seconds_bucket{class=\"variables\","
				  "le=\"0.0025\"} 2\n"));
	assert_non_null(strstr(s, "request_seconds_bucket{class=\"variables\","
				  "le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(s, "request_seconds_sum{class=\"variables\"} "
				  "0.001200\n"));
	assert_non_null(strstr(s, "request_seconds_count{class=\"variables\"} "
				  "2\n"));
	/* The bound itself is within. */
	assert_non_null(strstr(s, "request_seconds_bucket{class=\"output\","
				  "le=\"0.00025\"} 1\n"));
	assert_non_null(strstr(s, "rate_limited_total{limit=\"tools\"} 3\n"));
	assert_non_null(strstr(s, "invalidations_total 4\n"));
	assert_non_null(strstr(s, "watches 5\n"));
	assert_non_null(strstr(s, "breaker_state 1\n"));
	buf_clear(&text);
	assert_int_equal(metrics_append_stats(&m, &text), 0);
	assert_string_equal(buf_cstr(&text),
			    "{\"requests\":3,\"hits\":0,\"misses\":0,"
			    "\"stale\":0,\"errors\":1}");
	buf_deinit(&text);
}

static void test_secrets(void **state)
{
	static uint8_t large[SECRETS_MAX_BYTES / 2];
	struct secrets s;

	secrets_init(&s);
	assert_int_equal(secrets_add(&s, "one", 3), 0);
	assert_int_equal(secrets_add(&s, "two", 3), 0);
	assert_int_equal(secrets_add(&s, "one", 3), 0);
	assert_int_equal(secrets_add(&s, "on", 2), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.bytes, 8);
	assert_memory_equal(STAILQ_FIRST(&s.items)->value, "one", 3);
	assert_true(secrets_have(&s, "two", 3));
	assert_false(secrets_have(&s, "tw", 2));
	assert_int_equal(secrets_add(&s, large, sizeof(large)), 0);
	large[0] = 1;
	assert_int_equal(secrets_add(&s, large, sizeof(large)), -E2BIG);
	secrets_deinit(&s);
	for (uint32_t i = 0; i < SECRETS_MAX; i++)
		assert_int_equal(secrets_add(&s, &i, sizeof(i)), 0);
	assert_int_equal(secrets_add(&s, "more", 4), -E2BIG);
	secrets_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_assignment),
		cmocka_unit_test(test_assignment_defaults),
		cmocka_unit_test(test_assignment_trace),
		cmocka_unit_test(test_assignment_refused),
		cmocka_unit_test(test_limits_count),
		cmocka_unit_test(test_limits_bytes),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
