#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/http/server.h"
#include "common/http/trace.h"
#include "common/macro.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define OWN "11111111111111111111111111111111"

static void ask(const char *traceparent, const char *own, char out[TRACE_BYTES])
{
	const struct http_header header = { "traceparent", traceparent };
	const struct http_request req = {
		.headers = &header,
		.n_headers = traceparent ? 1 : 0,
	};

	http_trace_id_or(&req, own, out);
}

static void test_given(void **state)
{
	char id[TRACE_BYTES];

	ask("00-" TRACE "-b7ad6b7169203331-01", NULL, id);
	assert_string_equal(id, TRACE);
	ask("00-" TRACE "-b7ad6b7169203331-00", OWN, id);
	assert_string_equal(id, TRACE);
	/* A later version may say more. */
	ask("01-" TRACE "-b7ad6b7169203331-01-more", NULL, id);
	assert_string_equal(id, TRACE);
}

static void test_not_given(void **state)
{
	static const char *const bad[] = {
		NULL,
		"",
		TRACE,
		"00-" TRACE "-b7ad6b7169203331",
		"00-" TRACE "-b7ad6b7169203331-01x",
		"00-" TRACE "-b7ad6b716920333g-01",
		"ff-" TRACE "-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
	};
	char id[TRACE_BYTES], last[TRACE_BYTES] = "";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(bad[i], OWN, id);
		assert_string_equal(id, OWN);
		ask(bad[i], NULL, id);
		assert_true(trace_id_valid(id));
		assert_string_not_equal(id, last);
		memcpy(last, id, sizeof(last));
	}
}

static void test_valid(void **state)
{
	assert_true(trace_id_valid(TRACE));
	assert_false(trace_id_valid(""));
	assert_false(trace_id_valid(TRACE "0"));
	assert_false(trace_id_valid("0af7651916cd43dd8448eb211c80319"));
	assert_false(trace_id_valid("0af7651916cd43dd8448eb211c80319C"));
	assert_false(trace_id_valid("00000000000000000000000000000000"));
}

/* What we send is what we take; each has a span of its own. */
static void test_child_span(void **state)
{
	char out[TRACE_PARENT_BYTES], last[TRACE_PARENT_BYTES] = "";
	char id[TRACE_BYTES];

	for (int i = 0; i < 1000; i++) {
		trace_parent(TRACE, out);
		assert_int_equal(strlen(out), TRACE_PARENT_BYTES - 1);
		assert_memory_equal(out, "00-" TRACE "-", 36);
		assert_string_equal(out + 52, "-01");
		assert_int_equal(strspn(out + 36, "0123456789abcdef"), 16);
		assert_string_not_equal(out, last);
		memcpy(last, out, sizeof(last));
		ask(out, NULL, id);
		assert_string_equal(id, TRACE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_not_given),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_child_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
