/* Patterns within patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/pattern_subset.h"
#include "common/token.h"

static const struct {
	const char *p, *q;
	bool within;
} cases[] = {
	{ "a", "a", true },
	{ "a", "b", false },
	{ "a", "*", true },
	{ "*", "*", true },
	{ "*", "**", true },
	{ "**", "*", true },
	{ "*", "a", false },
	{ "*", "a*", false },
	{ "*", "*a", false },
	{ "", "*", true },
	{ "", "", true },
	{ "a", "", false },
	{ "app.db.*", "app.*", true },
	{ "app.*", "app.db.*", false },
	{ "app.*", "app.*", true },
	{ "app*", "app.*", false },
	{ "app.x", "app.*", true },
	{ "app.", "app.*", true },
	{ "app", "app.*", false },
	{ "a*c", "a*", true },
	{ "a*c", "*c", true },
	{ "a*c", "a*b*c", false },
	{ "a*b*c", "a*c", true },
	{ "a*b*c", "*b*", true },
	{ "abab", "*ab", true },
	{ "ab*ab", "*ab", true },
	{ "aXbXb", "a*b", true },
	{ "a*b", "a*bb", false },
	{ "slack/*", "*/*", true },
	{ "slack*", "*/*", false },
	{ "slack/send-message", "slack/*", true },
	{ "slackx/send", "slack/*", false },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (pattern_within(cases[i].p, cases[i].q) != cases[i].within)
			fail_msg("\"%s\" within \"%s\"", cases[i].p,
				 cases[i].q);
}

static bool matches(const char *pattern, const char *text)
{
	char *items[] = { (char *)pattern };
	const struct token_claims claims = { .tools = { items, 1 } };

	return token_may_call(&claims, text);
}

#define WORD_BYTES 8

/* Writes the n-th word over the alphabet. */
static void word(unsigned int n, const char *alphabet, char *out)
{
	unsigned int base = (unsigned int)strlen(alphabet);

	for (; n; n = (n - 1) / base)
		*out++ = alphabet[(n - 1) % base];
	*out = '\0';
}

/* Every pair of short patterns, against every short text. "c" stands for what
 * neither pattern names. */
static void test_exhaustively(void **state)
{
	char p[WORD_BYTES], q[WORD_BYTES], text[WORD_BYTES];

	for (unsigned int i = 1; i < 121; i++)
		for (unsigned int j = 1; j < 121; j++) {
			bool holds = true;

			word(i, "ab*", p);
			word(j, "ab*", q);
			for (unsigned int k = 1; holds && k < 1365; k++) {
				word(k, "abcd", text);
				holds = !matches(p, text) || matches(q, text);
			}
			if (pattern_within(p, q) && !holds)
				fail_msg("\"%s\" within \"%s\"", p, q);
		}
}

static void test_sets(void **state)
{
	static char first[] = "a.*", second[] = "b";
	char *items[] = { first, second };
	const struct token_patterns set = { items, 2 };
	const struct token_patterns none = { NULL, 0 };

	assert_true(pattern_within_any("a.x", &set));
	assert_true(pattern_within_any("b", &set));
	assert_false(pattern_within_any("*", &set));
	assert_false(pattern_within_any("b*", &set));
	assert_false(pattern_within_any("a", &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_exhaustively),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
