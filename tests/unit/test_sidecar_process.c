/* Starting a sidecar from a process that has threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "orchestrator/sidecar_process.h"

static void *on_thread(void *arg)
{
	return arg;
}

/* A thread of ours has the processor only when we give it up. */
static void take_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* What the C library notes of its threads is in the child as it was at that
 * moment, and what a thread was about to change there stays as it is. */
static void test_while_a_thread_starts(void **state)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int dir = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), control;
	const struct sidecar_process_spec spec = {
		.exec_fd = open("/bin/true", O_PATH | O_CLOEXEC),
		.null_fd = null_fd,
		.backend_fd = dir,
		.listen_fd = -1,
		.proxy_fd = -1,
		.door_fd = -1,
		.again_fd = -1,
		.log_level = "error",
		.log_format = "logfmt",
		.root = geteuid() == 0,
	};
	struct sandbox_process process;
	pthread_t thread;

	take_one_processor();
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pthread_create(&thread, NULL, on_thread, NULL),
				 0);
		assert_int_equal(
			sidecar_process_start(&spec, &process, &control), 0);
		pthread_join(thread, NULL);
		sandbox_process_wait(&process);
		close(process.pidfd);
		close(control);
	}
	close(spec.exec_fd);
	close(null_fd);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_while_a_thread_starts),
	};

	return cmocka_run_group_tests_name("sidecar_process", tests, NULL,
					   NULL);
}
