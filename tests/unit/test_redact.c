#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/redact.h"

/* Redacts text cut into pieces of the given size. */
static char *redacted(struct redactor *r, const char *text, size_t len,
		      size_t piece)
{
	struct redact_stream *s;
	struct buf out = { 0 };

	assert_int_equal(redact_stream_new(&s, r), 0);
	for (size_t i = 0; i < len; i += piece)
		assert_int_equal(redact_stream_feed(s, text + i,
						    MIN(piece, len - i), &out),
				 0);
	assert_int_equal(redact_stream_flush(s, &out), 0);
	redact_stream_free(s);
	return buf_take(&out, NULL);
}

static struct redactor *redactor_of(const char *const *values, size_t n)
{
	struct redactor *r;

	assert_int_equal(redactor_new(&r), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(redactor_add(r, values[i], strlen(values[i])),
				 0);
	return r;
}

static void assert_redacts(struct redactor *r, const char *text,
			   const char *expect)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		char *got = redacted(r, text, strlen(text), piece);

		assert_string_equal(got, expect);
		free(got);
	}
}

static void test_plain_and_encoded(void **state)
{
	static const char *const value[] = { "\"s3cr\\u00e9t/ key\"" };
	struct redactor *r = redactor_of(value, 1);

	assert_redacts(r, "a s3cr\xc3\xa9t/ key b", "a ******** b");
	assert_redacts(r, "s3cr%C3%A9t%2F%20key", "********");
	assert_redacts(r, "s3cr%c3%a9t%2f%20key", "********");
	assert_redacts(r, "s3cr%C3%A9t%2F+key", "********");
	assert_redacts(r, "s3cr%C3%A9t/%20key.", "********.");
	assert_redacts(r, "{\"k\":\"s3cr\\u00e9t/ key\"}",
		       "{\"k\":\"********\"}");
	assert_redacts(r, "\"s3cr\xc3\xa9t\\/ key\"", "\"********\"");
	/* base64 of it, of "x" and it, and of "xy" and it. */
	assert_redacts(r, "czNjcsOpdC8ga2V5", "********");
	assert_redacts(r, "eHN6czNjcsOpdC8ga2V5", "eHN6********");
	assert_redacts(r, "s3cr nothing here s3c", "s3cr nothing here s3c");
	redactor_free(r);
}

static void test_alignments(void **state)
{
	static const char *const value[] = { "\"hunter22-hunter\"" };
	struct redactor *r = redactor_of(value, 1);

	/* base64("?" secret "!") and base64("??" secret "!"). */
	assert_redacts(r, "P2h1bnRlcjIyLWh1bnRlciE=", "P2********iE=");
	assert_redacts(r, "Pz9odW50ZXIyMi1odW50ZXIh", "Pz9********Ih");
	redactor_free(r);
}

static void test_overlaps_melt(void **state)
{
	static const char *const values[] = { "\"abcdefgh\"", "\"efghijkl\"",
					      "\"abcdefghXYZ\"" };
	struct redactor *r = redactor_of(values, 3);

	assert_redacts(r, "-abcdefghijkl-", "-********-");
	assert_redacts(r, "-abcdefghXYZ-", "-********-");
	assert_redacts(r, "-abcdefghXY-", "-********XY-");
	assert_redacts(r, "-abcdefghefghijkl-", "-********-");
	redactor_free(r);
}

static void test_values_that_are_no_strings(void **state)
{
	static const char *const values[] = {
		"{\"user\":\"somebody\",\"keys\":[\"first-key\"]}",
		"1234567",
	};
	struct redactor *r = redactor_of(values, 2);

	assert_redacts(r, "first-key of somebody is 1234567",
		       "******** of ******** is ********");
	redactor_free(r);
}

/* JSON, but nothing that the parser has a value for. */
static void test_values_that_cannot_be_parsed(void **state)
{
	static const char *const values[] = {
		"{\"n\":1e999,\"key\":\"hunter2-long\",\"b\":\"\\u00e9clair \\\" q\"}",
		"[\"first-half\\ud800second-half\", \"plain-one\"]",
		"\"alone-\\ud800-with-it\"",
	};
	struct redactor *r = redactor_of(values, ARRAY_SIZE(values));

	assert_redacts(r, "a hunter2-long b", "a ******** b");
	assert_redacts(r,
		       "\xc3\xa9"
		       "clair \" q.",
		       "********.");
	assert_redacts(r, "first-half?second-half", "********?********");
	assert_redacts(r, "plain-one", "********");
	assert_redacts(r, "alone-?-with-it", "********?********");
	assert_redacts(r, "cGxhaW4tb25l", "********"); /* base64 */
	redactor_free(r);
}

static void test_short_ones_are_told(void **state)
{
	struct redactor *r;

	assert_int_equal(redactor_new(&r), 0);
	assert_int_equal(redactor_add(r, "\"abc\"", 5), REDACT_E_SHORT);
	assert_redacts(r, "abc \"abc\"", "abc \"abc\"");
	redactor_free(r);
}

static void test_flush_gives_what_was_held(void **state)
{
	static const char *const value[] = { "\"password-1\"" };
	struct redactor *r = redactor_of(value, 1);
	struct redact_stream *s;
	struct buf out = { 0 };

	assert_int_equal(redact_stream_new(&s, r), 0);
	assert_int_equal(redact_stream_feed(s, "> passwo", 8, &out), 0);
	assert_string_equal(buf_cstr(&out), "> ");
	assert_int_equal(redact_stream_flush(s, &out), 0);
	assert_string_equal(buf_cstr(&out), "> passwo");
	redact_stream_free(s);
	buf_deinit(&out);
	redactor_free(r);
}

/* What comes out when one stream is given up at cut, and another takes it up
 * from what the first had not dealt with. */
static char *redacted_by_two(struct redactor *r, const char *text, size_t len,
			     size_t cut)
{
	struct redact_stream *first, *second;
	struct buf out = { 0 };
	size_t from;

	assert_int_equal(redact_stream_new(&first, r), 0);
	assert_int_equal(redact_stream_new(&second, r), 0);
	assert_int_equal(redact_stream_feed(first, text, cut, &out), 0);
	from = cut - redact_stream_held(first);
	redact_stream_restore(second, redact_stream_state(first));
	assert_int_equal(
		redact_stream_feed(second, text + from, len - from, &out), 0);
	assert_int_equal(redact_stream_flush(second, &out), 0);
	redact_stream_free(first);
	redact_stream_free(second);
	return buf_take(&out, NULL);
}

/* For random secrets and texts: whatever the chunks, the result is the same
 * and no secret is in it. */
static void test_chunks_do_not_matter(void **state)
{
	static const char alphabet[] = "abA=%";

	srand(4711);
	for (int round = 0; round < 300; round++) {
		char secret[2][24], text[400];
		const char *values[] = { secret[0], secret[1] };
		struct redactor *r;
		char *whole, *cut;
		size_t n = 0;

		for (int k = 0; k < 2; k++) {
			size_t len = 6 + (size_t)rand() % 6;

			secret[k][0] = '"';
			for (size_t i = 1; i <= len; i++)
				secret[k][i] = alphabet[rand() % 5];
			strcpy(secret[k] + len + 1, "\"");
		}
		while (n < 300) {
			if (rand() % 4 == 0) {
				const char *s = secret[rand() % 2];
				size_t len = strlen(s) - 2;

				memcpy(text + n, s + 1, len);
				n += len;
			} else {
				text[n++] = alphabet[rand() % 5];
			}
		}
		r = redactor_of(values, 2);
		whole = redacted(r, text, n, n);
		cut = redacted(r, text, n, 1 + (size_t)rand() % 9);
		assert_string_equal(whole, cut);
		free(cut);
		cut = redacted_by_two(r, text, n, (size_t)rand() % n);
		assert_string_equal(whole, cut);
		for (int k = 0; k < 2; k++) {
			secret[k][strlen(secret[k]) - 1] = '\0';
			assert_null(strstr(whole, secret[k] + 1));
		}
		free(whole);
		free(cut);
		redactor_free(r);
	}
}

/* One secret may be a list of very many. */
static void test_many_in_one_are_refused(void **state)
{
	struct buf list = { 0 };
	struct redactor *r;

	assert_int_equal(redactor_new(&r), 0);
	for (int i = 0; i <= REDACT_PATTERNS_MAX; i++)
		assert_int_equal(buf_printf(&list, "%s\"aaaaaa%d\"",
					    i ? "," : "[", i),
				 0);
	assert_int_equal(buf_append_str(&list, "]"), 0);
	assert_int_equal(redactor_add(r, list.data, list.len), REDACT_E_FULL);
	buf_deinit(&list);
	redactor_free(r);
}

static void test_ones_that_begin_alike_are_bounded(void **state)
{
	struct redactor *r;
	char value[32];
	int e = 0, n = 0;

	assert_int_equal(redactor_new(&r), 0);
	for (; !e && n < REDACT_SECRETS_MAX; n++) {
		snprintf(value, sizeof(value), "\"alike!%05d\"", n);
		e = redactor_add(r, value, strlen(value));
	}
	assert_int_equal(e, REDACT_E_FULL);
	assert_true(n > 64 && n <= REDACT_ALIKE_MAX + 1);
	redactor_free(r);
}

static void test_large_ones_are_bounded(void **state)
{
	size_t len = 1024 * 1024, n = 0;
	char *value = malloc(len);
	struct redactor *r;
	int e = 0;

	assert_non_null(value);
	assert_int_equal(redactor_new(&r), 0);
	for (; !e && n < REDACT_SECRETS_MAX; n++) {
		for (size_t i = 0; i < len; i++)
			value[i] = (char)('a' + rand() % 26);
		value[0] = value[len - 1] = '"';
		e = redactor_add(r, value, len);
	}
	assert_int_equal(e, REDACT_E_FULL);
	assert_true(n * len <= REDACT_PATTERNS_MAX_BYTES + len);
	free(value);
	redactor_free(r);
}

/* Whatever is written, only so much is held back; and a whole secret is one
 * mask however long it is. */
static void test_long_ones_are_held_in_pieces(void **state)
{
	size_t len = 3 * REDACT_PIECE_MAX_BYTES + 3;
	char *value = malloc(len + 2);
	struct redact_stream *s;
	struct buf out = { 0 };
	struct redactor *r;

	assert_non_null(value);
	for (size_t i = 0; i < len; i++)
		value[1 + i] = (char)('a' + (i * 7 + i / 26) % 26);
	value[0] = value[len + 1] = '"';
	assert_int_equal(redactor_new(&r), 0);
	assert_int_equal(redactor_add(r, value, len + 2), 0);
	assert_int_equal(redact_stream_new(&s, r), 0);
	for (size_t i = 0; i < len; i += 1000) {
		assert_int_equal(redact_stream_feed(s, value + 1 + i,
						    MIN(len - i, 1000), &out),
				 0);
		assert_true(redact_stream_held(s) < REDACT_PIECE_MAX_BYTES);
	}
	assert_int_equal(redact_stream_flush(s, &out), 0);
	assert_string_equal(buf_cstr(&out), REDACT_MASK);
	redact_stream_free(s);
	buf_deinit(&out);
	redactor_free(r);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_and_encoded),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_overlaps_melt),
		cmocka_unit_test(test_values_that_are_no_strings),
		cmocka_unit_test(test_values_that_cannot_be_parsed),
		cmocka_unit_test(test_short_ones_are_told),
		cmocka_unit_test(test_many_in_one_are_refused),
		cmocka_unit_test(test_ones_that_begin_alike_are_bounded),
		cmocka_unit_test(test_large_ones_are_bounded),
		cmocka_unit_test(test_long_ones_are_held_in_pieces),
		cmocka_unit_test(test_flush_gives_what_was_held),
		cmocka_unit_test(test_chunks_do_not_matter),
	};

	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
