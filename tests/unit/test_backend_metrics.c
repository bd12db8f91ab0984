#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/metrics.h"

static void test_render(void **state)
{
	static const char *const lines[] = {
		"cronium_http_requests_total{class=\"admin\",status=\"2xx\"} 2\n",
		("cronium_http_requests_total{class=\"runtime\","
		 "status=\"4xx\"} 1\n"),
		"cronium_claim_latency_seconds_bucket{le=\"0.005\"} 2\n",
		"cronium_claim_latency_seconds_bucket{le=\"0.01\"} 3\n",
		"cronium_claim_latency_seconds_bucket{le=\"300\"} 3\n",
		"cronium_claim_latency_seconds_bucket{le=\"+Inf\"} 4\n",
		"cronium_claim_latency_seconds_sum 1000.011\n",
		"cronium_claim_latency_seconds_count 4\n",
		"cronium_tokens_refused_total 1\n",
		"cronium_log_bytes_total 12\n",
	};
	struct metrics *m;
	struct buf out = { 0 };

	assert_int_equal(metrics_new(&m), 0);
	metrics_request(m, METRICS_ADMIN, 200);
	metrics_request(m, METRICS_ADMIN, 201);
	metrics_request(m, METRICS_RUNTIME, 404);
	metrics_request(m, METRICS_RUNTIME, 999); /* dropped */
	metrics_claim(m, -5);                     /* the clock was set back */
	metrics_claim(m, 5);
	metrics_claim(m, 6);
	metrics_claim(m, 1000000);
	metrics_token_refused(m);
	metrics_log_bytes(m, 12);
	assert_int_equal(metrics_render(m, &out), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(buf_cstr(&out), lines[i]))
			fail_msg("missing: %s in\n%s", lines[i],
				 buf_cstr(&out));
	buf_deinit(&out);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
