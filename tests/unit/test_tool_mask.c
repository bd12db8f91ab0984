/* Credentials do not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/tool_mask.h"
#include "common/json.h"

static struct tool_mask *mask_of(const char *secret)
{
	struct tool_mask *m;

	assert_int_equal(tool_mask_new(&m), 0);
	assert_int_equal(tool_mask_add(m, secret, strlen(secret)), 0);
	return m;
}

static void check_json(struct tool_mask *m, const char *in, const char *out)
{
	json_t *value = json_loads(in, JSON_DECODE_ANY, NULL);
	json_t *masked = tool_mask_json(m, value);
	json_t *expected = json_loads(out, JSON_DECODE_ANY, NULL);

	assert_non_null(masked);
	if (!json_equal(masked, expected))
		fail_msg("%s becomes %s", in,
			 json_dumps(masked, JSON_ENCODE_ANY));
	json_decref(value);
	json_decref(masked);
	json_decref(expected);
}

static void test_json(void **state)
{
	struct tool_mask *m = mask_of("\"s3cret-token\"");

	check_json(m, "\"a s3cret-token b\"", "\"a ******** b\"");
	check_json(m, "[\"s3cret-token\",1,null,true]",
		   "[\"********\",1,null,true]");
	check_json(m, "{\"s3cret-token\":{\"x\":\"s3cret-token\"}}",
		   "{\"********\":{\"x\":\"********\"}}");
	/* czNjcmV0LXRva2Vu is its base64. */
	check_json(m, "\"Basic czNjcmV0LXRva2Vu\"", "\"Basic ********\"");
	check_json(m, "[\"s3cret-\",\"token\"]", "[\"s3cret-\",\"token\"]");
	check_json(m, "[1.5,-3,\"\"]", "[1.5,-3,\"\"]");
	tool_mask_free(m);
}

static void test_numbers_stay_json(void **state)
{
	struct tool_mask *m = mask_of("\"12345678\"");

	check_json(m, "{\"a\":12345678,\"b\":91234567890,\"c\":1234}",
		   "{\"a\":\"********\",\"b\":\"9********90\",\"c\":1234}");
	tool_mask_free(m);
}

static void test_forms(void **state)
{
	struct tool_mask *m = mask_of("\"a b\\\"c/d+e\"");

	check_json(m, "\"x=a%20b%22c%2Fd%2Be\"", "\"x=********\"");
	check_json(m, "\"a b\\\"c/d+e\"", "\"********\"");
	check_json(m, "\"{\\\"k\\\":\\\"a b\\\\\\\"c/d+e\\\"}\"",
		   "\"{\\\"k\\\":\\\"********\\\"}\"");
	tool_mask_free(m);
}

static void test_text(void **state)
{
	struct tool_mask *m = mask_of("\"s3cret-token\"");
	struct buf out = { 0 };

	assert_int_equal(tool_mask_text(m, "at s3cret-tok", 13, &out), 0);
	assert_int_equal(tool_mask_text(m, "en s3cret-token", 15, &out), 0);
	assert_string_equal(buf_cstr(&out), "at s3cret-token ********");
	buf_deinit(&out);
	tool_mask_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_numbers_stay_json),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
