/* What a log line looks like, in both formats. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/log.h"
#include "common/macro.h"

static char text[8192];

/* stderr goes to a pipe while fn runs; what it wrote is in text. */
static void capture(void (*fn)(void))
{
	int saved = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(fds[0], text, sizeof(text) - 1);
	text[MAX(n, 0)] = '\0';
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void say_hello(void)
{
	log_info("ex_1", "said \"%s\"\nand\x1b[1m went", "hello");
}

static void say_traced(void)
{
	log_write(LOG_LEVEL_WARN, NULL, "abc", "odd");
}

static void say_bytes(void)
{
	log_error("a\"b", "\xff is no UTF-8");
}

static void say_debug(void)
{
	log_debug("ex_1", "not shown");
}

static void say_much(void)
{
	char much[5000];

	memset(much, '"', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	log_info("ex_1", "%s", much);
}

static void test_logfmt(void **state)
{
	log_init("test", LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_LOGFMT);
	capture(say_hello);
	assert_non_null(strstr(text, " level=info prog=test who=ex_1 "
				     "msg=\"said \\\"hello\\\"\\nand\\x1b[1m "
				     "went\"\n"));
	assert_null(strstr(text, "trace="));
	capture(say_traced);
	assert_non_null(strstr(text, "who=- trace=abc msg=\"odd\"\n"));
	capture(say_debug);
	assert_string_equal(text, "");
	capture(say_much);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_json(void **state)
{
	_cleanup_json_ json_t *hello = NULL, *traced = NULL, *bytes = NULL,
			      *much = NULL;

	log_init("test", LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_JSON);
	capture(say_hello);
	hello = json_loads(text, 0, NULL);
	assert_string_equal(json_get_str(hello, "level", ""), "info");
	assert_string_equal(json_get_str(hello, "prog", ""), "test");
	assert_string_equal(json_get_str(hello, "who", ""), "ex_1");
	assert_null(json_object_get(hello, "trace"));
	capture(say_traced);
	traced = json_loads(text, 0, NULL);
	assert_string_equal(json_get_str(traced, "trace", ""), "abc");
	assert_string_equal(json_get_str(hello, "msg", ""),
			    "said \"hello\"\nand\x1b[1m went");
	assert_int_equal(strlen(json_get_str(hello, "t", "")), 24);
	capture(say_bytes);
	bytes = json_loads(text, 0, NULL);
	assert_string_equal(json_get_str(bytes, "who", ""), "a\"b");
	assert_non_null(strstr(json_get_str(bytes, "msg", ""), "is no UTF-8"));
	assert_null(json_object_get(bytes, "trace"));
	capture(say_much);
	much = json_loads(text, 0, NULL);
	assert_non_null(much);
}

static void test_names(void **state)
{
	enum log_format f;
	enum log_level l;

	assert_int_equal(log_format_parse("json", &f), 0);
	assert_int_equal(f, LOG_FORMAT_JSON);
	assert_true(log_format_parse("xml", &f) < 0);
	assert_int_equal(log_level_parse("debug", &l), 0);
	assert_int_equal(l, LOG_LEVEL_DEBUG);
	assert_true(log_level_parse("loud", &l) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logfmt),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
