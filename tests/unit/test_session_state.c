#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/session_state.h"

static void test_states(void **state)
{
	enum session_state s;

	for (int i = 0; i < SESSION_STATES; i++) {
		const char *name = session_state_name((enum session_state)i);

		assert_int_equal(session_state_parse(name, &s), 0);
		assert_int_equal(s, i);
	}
	assert_int_equal(session_state_parse("over", &s), -EINVAL);
	assert_string_equal(session_state_name(SESSION_STATES), "?");
}

static void test_names(void **state)
{
	char longest[SESSION_NAME_MAX_BYTES + 2];

	memset(longest, 'a', sizeof(longest));
	longest[SESSION_NAME_MAX_BYTES + 1] = '\0';
	assert_false(session_name_valid(longest));
	longest[SESSION_NAME_MAX_BYTES] = '\0';
	assert_true(session_name_valid(longest));
	assert_true(session_name_valid("night-2026.11_a"));
	assert_false(session_name_valid(""));
	assert_false(session_name_valid("-a"));
	assert_false(session_name_valid(".a"));
	assert_false(session_name_valid("a b"));
	assert_false(session_name_valid("a/b"));
	assert_false(session_name_valid("ses_a"));
}

static void test_references(void **state)
{
	assert_true(session_ref_valid("night"));
	assert_true(session_ref_valid("ses_01jd0000000000000000000000"));
	assert_false(session_ref_valid("ses_01jd"));
	assert_false(session_ref_valid("job_01jd0000000000000000000000/"));
}

static void test_reasons(void **state)
{
	char out[SESSION_END_REASON_BYTES];

	session_end_reason("night", NULL, out);
	assert_string_equal(out, "its session night was ended");
	session_end_reason("night", "enough", out);
	assert_string_equal(out, "its session night was ended: enough");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
