/* Compiled with the fail points in, whatever the build has. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fail_point.h"

/* Reaches a and b, n times each, in a process of its own: its wait status. */
static int run(const char *points, int n, int expected_error)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int e = 0;

		setenv("CRONIUM_FAIL_POINTS", points, 1);
		if (!freopen("/dev/null", "w", stderr))
			_exit(99);
		for (int i = 0; i < n; i++) {
			FAIL_POINT("a");
			e = FAIL_POINT_ERROR("b");
		}
		_exit(e == expected_error ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return status;
}

static void test_kill(void **state)
{
	assert_int_equal(run("", 5, 0), 0);
	assert_int_equal(run("c=kill", 5, 0), 0);
	assert_int_equal(WTERMSIG(run("a=kill", 1, 0)), SIGKILL);
	assert_int_equal(run("a=kill@3", 2, 0), 0);
	assert_int_equal(WTERMSIG(run("x=kill,a=kill@3", 3, 0)), SIGKILL);
	assert_true(WIFSTOPPED(run("a=stop@2", 2, 0)));
}

static void test_error(void **state)
{
	assert_int_equal(run("b=ENOSPC@2", 1, 0), 0);
	assert_int_equal(run("b=ENOSPC@2", 2, -ENOSPC), 0);
	assert_int_equal(run("b=ENOSPC@2", 3, 0), 0);
	assert_int_equal(run("b=EIO+@2", 7, -EIO), 0);
}

static void test_refused(void **state)
{
	static const char *const wrong[] = {
		"a", "a=", "a=die", "a=EPERM", "a=kill@0", "a=kill@x", "a=+",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(WEXITSTATUS(run(wrong[i], 1, 0)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
