#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/options.h"

struct settings {
	bool json;
	const char *name;
	uint64_t slots, timeout_ms, memory;
	struct option_list env;
	struct option_rate rate;
	struct option_optional allow;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct option_spec specs[] = {
	{ "json", 0, OPTION_FLAG, FIELD(json), NULL, NULL, "as JSON" },
	{ "name", 'n', OPTION_STRING, FIELD(name), "NAME", "anon", "a name" },
	{ "slots", 0, OPTION_UINT, FIELD(slots), "N", "4", "slots" },
	{ "timeout", 't', OPTION_DURATION, FIELD(timeout_ms), "D", NULL, "" },
	{ "memory", 'm', OPTION_BYTES, FIELD(memory), "M", "512m", "" },
	{ "env", 'e', OPTION_LIST, FIELD(env), "K=V", NULL, "" },
	{ "rate", 0, OPTION_RATE, FIELD(rate), "R/B", "60/10", "" },
	{ "allow", 'a', OPTION_OPTIONAL, FIELD(allow), "[=A,...]", NULL, "" },
};

static int parse(struct settings *s, bool early, int *first, char *err,
		 const char *words)
{
	static char copy[512];
	static char *argv[32];
	int argc = 1;

	argv[0] = (char *)"prog";
	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	int r = options_parse(specs, ARRAY_SIZE(specs), argc, argv, early, s,
			      first, err, 200);

	if (r == 0 && *first < argc)
		snprintf(err, 200, "%s", argv[*first]);
	return r;
}

static void test_defaults_and_values(void **state)
{
	struct settings s = { 0 };
	char err[200] = "";
	int first;

	assert_int_equal(parse(&s, false, &first, err,
			       "script.py --json -n Ada --timeout=1.5m -e A=1 "
			       "--env B=2 --memory 64k -- --not-ours"),
			 0);
	assert_true(s.json);
	assert_string_equal(s.name, "Ada");
	assert_int_equal(s.slots, 4);
	assert_int_equal(s.timeout_ms, 90000);
	assert_int_equal(s.memory, 65536);
	assert_int_equal(s.env.n, 2);
	assert_string_equal(s.env.items[1], "B=2");
	assert_string_equal(err, "script.py");
	free(s.env.items);
}

static void test_words_keep_their_order(void **state)
{
	struct settings s = { 0 };
	char *argv[] = { (char *)"prog",
			 (char *)"a",
			 (char *)"--json",
			 (char *)"b",
			 (char *)"--",
			 (char *)"--json",
			 NULL };
	char err[200];
	int first;

	assert_int_equal(options_parse(specs, ARRAY_SIZE(specs), 6, argv, false,
				       &s, &first, err, sizeof(err)),
			 0);
	assert_int_equal(6 - first, 3);
	assert_string_equal(argv[first], "a");
	assert_string_equal(argv[first + 1], "b");
	assert_string_equal(argv[first + 2], "--json");
}

static void test_stop_early(void **state)
{
	struct settings s = { 0 };
	char err[200] = "";
	int first;

	assert_int_equal(parse(&s, true, &first, err, "--json run --name x"),
			 0);
	assert_int_equal(first, 2);
	assert_string_equal(err, "run");
	assert_string_equal(s.name, "anon");
}

static void test_rate(void **state)
{
	static const char *const bad[] = { "",
					   "1",
					   "/",
					   "1/",
					   "/1",
					   "1/0",
					   "0/1",
					   "-1/1",
					   "1/x",
					   "1/1/1",
					   "00",
					   "1 /1",
					   "1000000001/1",
					   "1/1000000001",
					   "11111111111111111111111111/1" };
	struct settings s = { 0 };
	struct option_rate rate;
	char err[200] = "";
	int first;

	assert_int_equal(parse(&s, false, &first, err, "x"), 0);
	assert_int_equal(s.rate.per_min, 60);
	assert_int_equal(s.rate.burst, 10);
	assert_int_equal(parse(&s, false, &first, err, "--rate 1000/200"), 0);
	assert_int_equal(s.rate.per_min, 1000);
	assert_int_equal(s.rate.burst, 200);
	assert_int_equal(parse(&s, false, &first, err, "--rate 0"), 0);
	assert_int_equal(s.rate.per_min, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(option_parse_rate(bad[i], &rate), -EINVAL);
}

static void test_optional(void **state)
{
	struct settings s = { 0 };
	const char *at, *item;
	char err[200] = "";
	size_t len;
	int first;

	assert_int_equal(parse(&s, false, &first, err, "x"), 0);
	assert_false(s.allow.alone);
	assert_int_equal(s.allow.list.n, 0);
	/* The next word is not its value. */
	assert_int_equal(parse(&s, false, &first, err, "--allow x --json"), 0);
	assert_true(s.allow.alone);
	assert_int_equal(s.allow.list.n, 0);
	assert_string_equal(err, "x");
	assert_true(s.json);
	assert_int_equal(parse(&s, false, &first, err,
			       "--allow=a,b:1 --allow=c -ad y"),
			 0);
	assert_int_equal(s.allow.list.n, 3);
	assert_string_equal(s.allow.list.items[0], "a,b:1");
	assert_string_equal(s.allow.list.items[2], "d");
	at = "ab,,c";
	item = option_next_item(&at, &len);
	assert_memory_equal(item, "ab", 2);
	assert_int_equal(len, 2);
	(void)option_next_item(&at, &len);
	assert_int_equal(len, 0);
	item = option_next_item(&at, &len);
	assert_string_equal(item, "c");
	assert_null(at);
	free(s.allow.list.items);
}

static void test_errors_name_the_value(void **state)
{
	static const struct {
		const char *words, *expect;
	} cases[] = {
		{ "--timeout 5parsecs", "5parsecs" },
		{ "--slots -1", "'-1' is not a whole number" },
		{ "--slots 99999999999999999999", "not a whole number" },
		{ "--memory 1q", "64k" },
		{ "--rate fast", "'fast' is not a rate such as 1000/200" },
		{ "--nope", "unknown option '--nope'" },
		{ "--json=1", "takes no value" },
		{ "--name", "needs a value" },
		{ "--allow=", "--allow: '' is not a list such as A,B" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings s = { 0 };
		char err[200] = "";
		int first;

		assert_int_equal(parse(&s, false, &first, err, cases[i].words),
				 -EINVAL);
		if (!strstr(err, cases[i].expect))
			fail_msg("%s: %s", cases[i].words, err);
		free(s.env.items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_and_values),
		cmocka_unit_test(test_words_keep_their_order),
		cmocka_unit_test(test_stop_early),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_errors_name_the_value),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
