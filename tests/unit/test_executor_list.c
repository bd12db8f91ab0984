/* The executors that an orchestrator names. */
#include "backend/executor_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_names_are_whole(void **state)
{
	assert_true(executor_list_has("docker,sandbox", "sandbox"));
	assert_true(executor_list_has("docker", "docker"));
	assert_false(executor_list_has("docker,sandbox", "sand"));
	assert_false(executor_list_has("sandboxes,xsandbox", "sandbox"));
	assert_false(executor_list_has("", "docker"));
}

static void test_auto_is_anything_but_ssh(void **state)
{
	assert_true(executor_list_has("ssh,sandbox", "auto"));
	assert_true(executor_list_has("docker", "auto"));
	assert_false(executor_list_has("ssh", "auto"));
	assert_false(executor_list_has("", "auto"));
}

static void check_without(const char *list, const char *other,
			  const char *wanted)
{
	char left[EXECUTOR_LIST_MAX_BYTES];

	executor_list_without(list, other, left, sizeof(left));
	assert_string_equal(left, wanted);
}

static void test_what_is_left(void **state)
{
	check_without("docker,sandbox,ssh", "docker", "sandbox,ssh");
	check_without("docker,sandbox,ssh", "ssh,docker", "sandbox");
	check_without("docker,sandbox", "", "docker,sandbox");
	check_without("docker,sandbox", NULL, "docker,sandbox");
	check_without("docker", "docker", "");
	check_without("docker", "sandbox,dock", "docker");
}

static void test_what_does_not_fit(void **state)
{
	char left[8];

	executor_list_without("docker,sandbox", "ssh", left, sizeof(left));
	assert_string_equal(left, "docker,");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_whole),
		cmocka_unit_test(test_auto_is_anything_but_ssh),
		cmocka_unit_test(test_what_is_left),
		cmocka_unit_test(test_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
