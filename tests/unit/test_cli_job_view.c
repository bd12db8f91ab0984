/* cli/job_view.c: what a job's end means for people and for exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/command.h"
#include "cli/job_view.h"
#include "common/json.h"

static json_t *parse(const char *text)
{
	json_t *job = json_loads(text, 0, NULL);

	assert_non_null(job);
	return job;
}

static void check(const char *text, int exit_code, const char *says)
{
	_cleanup_json_ json_t *job = parse(text);
	char out[512];
	const char *sentence = job_view_sentence(job, out, sizeof(out));

	assert_true(job_view_ended(job));
	assert_int_equal(job_view_exit_code(job), exit_code);
	if (!says)
		assert_null(sentence);
	else if (!sentence || !strstr(sentence, says))
		fail_msg("\"%s\" is not in \"%s\"", says,
			 sentence ? sentence : "");
}

static void test_ends(void **state)
{
	check("{\"state\":\"succeeded\",\"exit_code\":0}", CLI_OK, NULL);
	check("{\"state\":\"failed\",\"started_ms\":1,\"exit_code\":3}", 3,
	      NULL);
	check("{\"state\":\"failed\",\"started_ms\":1,\"signal\":11}", 128 + 11,
	      "signal 11");
	check("{\"state\":\"failed\",\"started_ms\":1,\"signal\":9,"
	      "\"oom_killed\":true}",
	      128 + 9, "--memory");
	check("{\"state\":\"failed\",\"exit_code\":null,\"reason\":\"no such "
	      "image\"}",
	      CLI_NOT_RUN, "no such image");
	check("{\"state\":\"failed\",\"started_ms\":0,\"exit_code\":126,"
	      "\"reason\":\"cannot write\"}",
	      CLI_NOT_RUN, "cannot write");
	check("{\"state\":\"timed_out\",\"signal\":15}", CLI_TIMED_OUT,
	      "--timeout");
	check("{\"state\":\"cancelled\",\"reason\":\"interrupted\"}",
	      CLI_CANCELLED, "interrupted");
	check("{\"state\":\"lost\"}", CLI_NOT_RUN, "not known");
}

static void test_not_ended(void **state)
{
	static const char *const texts[] = { "{\"state\":\"queued\"}",
					     "{\"state\":\"claimed\"}",
					     "{\"state\":\"running\"}", "{}" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_json_ json_t *job = parse(texts[i]);

		assert_false(job_view_ended(job));
	}
}

static void test_duration(void **state)
{
	_cleanup_json_ json_t *queued = parse("{\"started_ms\":0}");
	_cleanup_json_ json_t *running = parse(
		"{\"started_ms\":1000,\"ended_ms\":0}");
	_cleanup_json_ json_t *ended = parse(
		"{\"started_ms\":1000,\"ended_ms\":1500}");

	assert_int_equal(job_view_duration_ms(queued, 5000), -1);
	assert_int_equal(job_view_duration_ms(running, 5000), 4000);
	assert_int_equal(job_view_duration_ms(ended, 5000), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_not_ended),
		cmocka_unit_test(test_duration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
