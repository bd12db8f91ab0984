#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "orchestrator/usage.h"

static void assert_usage(const struct usage *u, const char *expect)
{
	_cleanup_json_ json_t *o = usage_json(u);
	struct buf text = { 0 };

	assert_int_equal(json_append(&text, o), 0);
	assert_string_equal(buf_cstr(&text), expect);
	buf_deinit(&text);
}

static void test_numbers(void **state)
{
	assert_int_equal(cgroup_usage_parse_number("4096\n"), 4096);
	assert_int_equal(cgroup_usage_parse_number("0"), 0);
	assert_int_equal(cgroup_usage_parse_number("9223372036854775807\n"),
			 INT64_MAX);
	/* v2 says "max" where there is no limit. */
	assert_true(cgroup_usage_parse_number("max\n") < 0);
	assert_true(cgroup_usage_parse_number("-1\n") < 0);
	assert_true(cgroup_usage_parse_number("12x\n") < 0);
	assert_true(cgroup_usage_parse_number("99999999999999999999\n") < 0);
	assert_true(cgroup_usage_parse_number("") < 0);
}

static void test_cpu_stat(void **state)
{
	struct cgroup_usage u;

	cgroup_usage_init(&u);
	/* v1's is about throttling. */
	cgroup_usage_parse_cpu_stat("nr_periods 1\nnr_throttled 2\n"
				    "throttled_time 3\n",
				    &u);
	assert_int_equal(u.cpu_us, CGROUP_USAGE_UNKNOWN);
	cgroup_usage_parse_cpu_stat("usage_usec 3000\nuser_usec 1000\n"
				    "system_usec 2000\nnr_periods 0\n",
				    &u);
	assert_int_equal(u.cpu_us, 3000);
	assert_int_equal(u.user_us, 1000);
	assert_int_equal(u.system_us, 2000);
	cgroup_usage_init(&u);
	cgroup_usage_parse_cpu_stat("usage_usec\nuser_usec x\nsystem_usec ",
				    &u);
	assert_int_equal(u.cpu_us, CGROUP_USAGE_UNKNOWN);
	assert_int_equal(u.system_us, CGROUP_USAGE_UNKNOWN);
}

static void test_exit(void **state)
{
	_cleanup_json_ json_t *o = json_pack("{s:i,s:i,s:i,s:n,s:i}", "user_us",
					     1, "system_us", 2, "max_rss_kb", 3,
					     "peak_memory_bytes", "read_bytes",
					     -5);
	struct cgroup_usage pod;
	struct usage u;

	usage_parse(&u, o);
	assert_usage(&u, "{\"user_us\":1,\"system_us\":2,\"max_rss_kb\":3,"
			 "\"peak_memory_bytes\":null,\"read_bytes\":null,"
			 "\"write_bytes\":null}");
	/* Where nothing better is known, the largest process' memory. */
	cgroup_usage_init(&pod);
	usage_complete(&u, &pod);
	assert_int_equal(u.peak_memory_bytes, 3 * 1024);
	/* The pod's cgroup counts all of them; not so the CPU, of which it
	 * has the runner's, too. */
	pod.user_us = pod.system_us = 1000;
	pod.peak_memory_bytes = 65536;
	usage_complete(&u, &pod);
	assert_int_equal(u.peak_memory_bytes, 65536);
	assert_int_equal(u.user_us, 1);
}

/* The runner died, and only the cgroup is left. */
static void test_no_exit(void **state)
{
	struct cgroup_usage pod;
	struct usage u;

	usage_init(&u);
	cgroup_usage_init(&pod);
	usage_complete(&u, &pod);
	assert_usage(&u, "{\"user_us\":null,\"system_us\":null,"
			 "\"max_rss_kb\":null,\"peak_memory_bytes\":null,"
			 "\"read_bytes\":null,\"write_bytes\":null}");
	pod.user_us = 10;
	pod.system_us = 20;
	pod.peak_memory_bytes = 30;
	usage_complete(&u, &pod);
	assert_usage(&u, "{\"user_us\":10,\"system_us\":20,"
			 "\"max_rss_kb\":null,\"peak_memory_bytes\":30,"
			 "\"read_bytes\":null,\"write_bytes\":null}");
}

static void test_live(void **state)
{
	_cleanup_json_ json_t *o = json_pack("{s:i,s:i}", "cpu_us", 7,
					     "memory_bytes", 8);
	struct cgroup_usage live, pod;

	cgroup_usage_init(&live);
	cgroup_usage_init(&pod);
	usage_parse_live(&live, o);
	pod.memory_bytes = 9;
	pod.pids = 4;
	pod.cpu_us = 700;
	usage_merge_live(&live, &pod);
	assert_int_equal(live.cpu_us, 7);
	assert_int_equal(live.memory_bytes, 9);
	assert_int_equal(live.pids, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_cpu_stat),
		cmocka_unit_test(test_exit),    cmocka_unit_test(test_no_exit),
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
