/* What agents may be called. */
#include "common/agent_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_letters_digits_and_three_signs(void **state)
{
	(void)state;
	assert_true(agent_name_valid("host-1.example_A"));
	assert_false(agent_name_valid(""));
	assert_false(agent_name_valid("a b"));
	assert_false(agent_name_valid("a/b"));
	assert_false(agent_name_valid("b\xc3\xbc"));
}

static void test_the_longest(void **state)
{
	char name[AGENT_NAME_MAX_BYTES + 2] = { 0 };

	(void)state;
	memset(name, 'a', AGENT_NAME_MAX_BYTES);
	assert_true(agent_name_valid(name));
	name[AGENT_NAME_MAX_BYTES] = 'a';
	assert_false(agent_name_valid(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_digits_and_three_signs),
		cmocka_unit_test(test_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
