/* What an agent's heartbeat says of the agent. */
#include "backend/agent_status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

#define EX1 "ex_01j0000000000000000000000a"
#define EX2 "ex_01j0000000000000000000000b"

static struct agent_usage *usage;
static char err[512];

static int parse(struct agent_status *out, const char *text, int64_t now_ms)
{
	_cleanup_json_ json_t *o = json_loads(text, 0, NULL);

	return agent_status_parse(out, o, &usage, now_ms, err, sizeof(err));
}

static int teardown(void **state)
{
	agent_usage_free(usage);
	usage = NULL;
	return 0;
}

static double percent_of(const struct agent_status *s, size_t i)
{
	_cleanup_json_ json_t *pods = json_loadb((char *)s->pods.data,
						 s->pods.len, 0, NULL);

	return json_number_value(
		json_object_get(json_array_get(pods, i), "cpu_percent"));
}

static void test_nothing_is_said(void **state)
{
	struct agent_status s;

	assert_int_equal(
		agent_status_parse(&s, NULL, &usage, 0, err, sizeof(err)), 0);
	assert_false(s.stored.given);
	agent_status_deinit(&s);
}

static void test_a_guard_that_is_open(void **state)
{
	struct agent_status s;

	assert_int_equal(parse(&s,
			       "{\"accepting\":false,\"code\":\"guard\","
			       "\"problem\":\"memory is at 93 %\","
			       "\"snapshot\":{\"cores\":2}}",
			       1000),
			 0);
	assert_true(s.stored.given);
	assert_false(s.stored.accepting);
	assert_string_equal(s.stored.code, "guard");
	assert_string_equal(s.stored.problem, "memory is at 93 %");
	assert_int_equal(s.stored.snapshot.len, strlen("{\"cores\":2}"));
	assert_memory_equal(s.stored.snapshot.data, "{\"cores\":2}",
			    s.stored.snapshot.len);
	agent_status_deinit(&s);
}

static void test_executors_that_are_away(void **state)
{
	assert_string_equal(agent_status_away("away:docker,ssh"), "docker,ssh");
	assert_string_equal(agent_status_away("guard"), "");
	assert_string_equal(agent_status_away(NULL), "");
}

static void test_processor_time_between_two_beats(void **state)
{
	struct agent_status s;

	assert_int_equal(parse(&s,
			       "{\"pods\":[{\"execution\":\"" EX1
			       "\",\"cpu_us\":1000000}]}",
			       1000),
			 0);
	assert_true(s.stored.accepting);
	assert_non_null(
		strstr((const char *)s.pods.data, "\"cpu_percent\":null"));
	agent_status_deinit(&s);
	/* 1.5 s of time in 10 s; the other one is new. */
	assert_int_equal(
		parse(&s,
		      "{\"pods\":[{\"execution\":\"" EX1
		      "\",\"job\":\"job_1\",\"state\":\"RUNNING\","
		      "\"cpu_us\":2500000,\"memory_bytes\":7,\"pids\":3},"
		      "{\"execution\":\"" EX2 "\",\"cpu_us\":5}]}",
		      11000),
		0);
	assert_true(percent_of(&s, 0) == 15.0);
	assert_true(percent_of(&s, 1) == 0.0);
	assert_non_null(strstr((const char *)s.pods.data, "\"pids\":3"));
	agent_status_deinit(&s);
	/* One that was not told of is forgotten; a clock that stands still and
	 * a time that goes back say nothing. */
	assert_int_equal(parse(&s,
			       "{\"pods\":[{\"execution\":\"" EX2
			       "\",\"cpu_us\":4}]}",
			       12000),
			 0);
	assert_non_null(
		strstr((const char *)s.pods.data, "\"cpu_percent\":null"));
	agent_status_deinit(&s);
	assert_int_equal(parse(&s,
			       "{\"pods\":[{\"execution\":\"" EX2
			       "\",\"cpu_us\":9}]}",
			       12000),
			 0);
	assert_non_null(
		strstr((const char *)s.pods.data, "\"cpu_percent\":null"));
	agent_status_deinit(&s);
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{\"pods\":{}}",
		"{\"pods\":[1]}",
		"{\"pods\":[{\"execution\":\"../x\"}]}",
		"{\"snapshot\":[]}",
	};
	struct agent_status s;
	char *big;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(&s, bad[i], 0), -EINVAL);
		agent_status_deinit(&s);
	}
	assert_true(asprintf(&big, "{\"snapshot\":{\"x\":\"%0*d\"}}",
			     AGENT_STATUS_SNAPSHOT_MAX_BYTES, 1) > 0);
	assert_int_equal(parse(&s, big, 0), -EINVAL);
	agent_status_deinit(&s);
	free(big);
	/* A sentence that is too long is cut off; the same pod twice is one. */
	assert_true(asprintf(&big,
			     "{\"problem\":\"%0*d\",\"pods\":[{\"execution\":"
			     "\"" EX1 "\",\"cpu_us\":1},{\"execution\":\"" EX1
			     "\",\"cpu_us\":2}]}",
			     2 * AGENT_STATUS_PROBLEM_MAX_BYTES, 1) > 0);
	assert_int_equal(parse(&s, big, 0), 0);
	assert_int_equal(strlen(s.stored.problem),
			 AGENT_STATUS_PROBLEM_MAX_BYTES);
	agent_status_deinit(&s);
	free(big);
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing_is_said),
		T(test_a_guard_that_is_open),
		T(test_executors_that_are_away),
		T(test_processor_time_between_two_beats),
		T(test_what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
