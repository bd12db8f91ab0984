#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/job_submission.h"
#include "backend/json_span.h"
#include "common/frame.h"
#include "common/json.h"

static const struct job_submission_limits limits = {
	.script_bytes = 32,
	.input_bytes = 32,
};

static int parse(const char *text, struct job_submission *s, char *why,
		 size_t size)
{
	struct buf b = { 0 };
	int r = job_submission_parse_json(s, text, strlen(text), &limits, &b);

	snprintf(why, size, "%s", b.len ? buf_cstr(&b) : "");
	buf_deinit(&b);
	return r;
}

static void check_json(const char *text, int expected, const char *word)
{
	struct job_submission s;
	char why[512];

	assert_int_equal(parse(text, &s, why, sizeof(why)), expected);
	if (!strstr(why, word))
		fail_msg("\"%s\" is not in: %s", word, why);
	job_submission_deinit(&s);
}

static void assert_buf(const struct buf *b, const char *text)
{
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(b->data, text, b->len);
}

static void test_json(void **state)
{
	struct job_submission s;
	char why[512];

	assert_int_equal(
		parse(" {\"runtime\":\"bash\", \"input\" : [1.10, \"}\"] ,"
		      "\"script\":{\"name\":\"a.sh\",\"content\":\"x\\ny\"}}",
		      &s, why, sizeof(why)),
		0);
	assert_buf(&s.input, "[1.10, \"}\"]");
	assert_buf(&s.script, "x\ny");
	assert_string_equal(json_get_str(s.spec, "script_name", ""), "a.sh");
	job_submission_deinit(&s);

	assert_int_equal(
		parse("{\"runtime\":\"bash\",\"script\":{\"content\":\"x\"}}",
		      &s, why, sizeof(why)),
		0);
	assert_buf(&s.input, "null");
	job_submission_deinit(&s);
}

static void test_json_refused(void **state)
{
	check_json("", JOB_SUBMISSION_E_JSON, "not JSON");
	check_json("[]", JOB_SUBMISSION_E_JSON, "");
	check_json("{\"script\":{\"content\":\"x\"},\"input\":1,\"input\":2}",
		   JOB_SUBMISSION_E_JSON, "");
	check_json("{\"\\u0069nput\":1,\"script\":{\"content\":\"x\"}}",
		   JOB_SUBMISSION_E_JSON, "without escapes");
	check_json("{\"runtime\":\"bash\"}", JOB_SUBMISSION_E_SPEC, "script");
	check_json("{\"runtime\":\"bash\",\"script\":{\"content\":\"\"}}",
		   JOB_SUBMISSION_E_SPEC, "is empty");
	check_json("{\"runtime\":\"bash\",\"script\":{\"content\":\"x\","
		   "\"mode\":1}}",
		   JOB_SUBMISSION_E_SPEC, "mode is not a known member");
	check_json("{\"script\":{\"content\":\"x\"}}", JOB_SUBMISSION_E_SPEC,
		   "runtime: is needed");
	check_json("{\"input\":\"0123456789012345678901234567890\","
		   "\"script\":{\"content\":\"x\"}}",
		   JOB_SUBMISSION_E_TOO_LARGE, "33 bytes; the limit is 32");
	check_json("{\"script\":{\"content\":"
		   "\"012345678901234567890123456789012\"}}",
		   JOB_SUBMISSION_E_TOO_LARGE, "33 bytes; the limit is 32");
}

static int parse_frames(const struct buf *body, struct job_submission *s)
{
	struct buf why = { 0 };
	int r = job_submission_parse_frames(s, body->data, body->len, &limits,
					    &why);

	assert_int_equal(r > 0, why.len > 0);
	buf_deinit(&why);
	return r;
}

static void add(struct buf *b, enum frame_type type, const char *text)
{
	assert_int_equal(frame_append(b, type, text, strlen(text)), 0);
}

static void test_frames(void **state)
{
	struct job_submission s;
	struct buf b = { 0 };

	add(&b, FRAME_SPEC, "{\"name\":\"a.py\"}");
	add(&b, FRAME_SCRIPT, "\xff");
	assert_int_equal(parse_frames(&b, &s), 0);
	assert_buf(&s.input, "null");
	assert_buf(&s.script, "\xff");
	job_submission_deinit(&s);

	add(&b, FRAME_INPUT, "{}");
	assert_int_equal(parse_frames(&b, &s), 0);
	assert_buf(&s.input, "{}");
	job_submission_deinit(&s);

	add(&b, FRAME_INPUT, "{}");
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_FRAMES);
	job_submission_deinit(&s);

	b.len -= 9; /* as before, and some bytes of a frame */
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_FRAMES);
	job_submission_deinit(&s);
	buf_deinit(&b);
}

static void test_frames_refused(void **state)
{
	struct job_submission s;
	struct buf b = { 0 };

	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_FRAMES);
	job_submission_deinit(&s);
	add(&b, FRAME_SPEC, "{\"name\":\"a.py\"}");
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_FRAMES);
	job_submission_deinit(&s);
	add(&b, FRAME_STDOUT, "x");
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_FRAMES);
	job_submission_deinit(&s);
	buf_clear(&b);
	add(&b, FRAME_SPEC, "[]");
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_JSON);
	job_submission_deinit(&s);
	buf_clear(&b);
	add(&b, FRAME_INPUT, "{");
	assert_int_equal(parse_frames(&b, &s), JOB_SUBMISSION_E_JSON);
	job_submission_deinit(&s);
	buf_deinit(&b);
}

static void check_span(const char *text, const char *name, const char *value)
{
	struct json_span span;

	assert_int_equal(json_span_find(text, strlen(text), name, &span),
			 value != NULL);
	if (!value)
		return;
	assert_int_equal(span.len, strlen(value));
	assert_memory_equal(text + span.start, value, span.len);
}

static void test_spans(void **state)
{
	check_span("{}", "a", NULL);
	check_span("[\"a\",1]", "a", NULL);
	check_span("{\"a\":1}", "a", "1");
	check_span("{ \"b\" : {\"a\":2} , \"a\" : \"x,}\" }", "a", "\"x,}\"");
	check_span("{\"b\":\"\\\"a\\\":3\",\"a\":[1,[2]]\n}", "a", "[1,[2]]");
	check_span("{\"aa\":1,\"\":2}", "a", NULL);
	check_span("{\"aa\":1,\"\":2}", "", "2");
}

/* A body of many members would take a second to parse, and 400 MiB. */
static void check_spec_bytes(const char *before, const char *after, size_t n,
			     int expected)
{
	char *text = malloc(strlen(before) + n + strlen(after) + 1);
	size_t len = strlen(before);

	strcpy(text, before);
	memset(text + len, '1', n);
	strcpy(text + len + n, after);
	check_json(text, expected, expected ? "beside its script" : "");
	free(text);
}

static void test_what_is_parsed_is_bounded(void **state)
{
	const size_t most = JOB_SUBMISSION_SPEC_MAX_BYTES;

	check_spec_bytes("{\"runtime\":\"python\",\"script\":{\"content\":\"",
			 "\",\"name\":\"a\"},\"env\":{}}", 32, 0);
	check_spec_bytes("{\"env\":{\"A\":\"",
			 "\"},\"script\":{\"content\":\"1\"}}", most,
			 JOB_SUBMISSION_E_TOO_LARGE);
	check_spec_bytes("{\"script\":{\"content\":\"1\",\"name\":\"", "\"}}",
			 most, JOB_SUBMISSION_E_TOO_LARGE);
	check_spec_bytes("{\"script\":{\"content\":[\"", "\"]}}", most,
			 JOB_SUBMISSION_E_TOO_LARGE);
	check_spec_bytes("{\"input\":1,\"script\":\"", "\"}", most,
			 JOB_SUBMISSION_E_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_frames_refused),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_what_is_parsed_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
