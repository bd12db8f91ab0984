#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/http/head.h"

#define MAX_BYTES 4096
#define HEADERS_MAX 16

struct parsed {
	struct head head;
	struct http_header headers[HEADERS_MAX];
	char text[MAX_BYTES + 1];
};

/* Scan and parse; 0 or the status it is refused with. */
static int parse(struct parsed *p, const char *text)
{
	struct head_scan scan = { 0 };
	const char *why = NULL;
	ssize_t n;

	n = head_scan(&scan, (const uint8_t *)text, strlen(text), MAX_BYTES,
		      &why);
	if (n < 0) {
		assert_non_null(why);
		return (int)-n;
	}
	assert_int_equal(n, strlen(text));
	n -= (ssize_t)scan.start;
	memcpy(p->text, text + scan.start, (size_t)n);
	p->head.headers = p->headers;
	p->head.n_headers = scan.lines - 1;
	return head_parse(&p->head, p->text, (size_t)n, &why);
}

static void test_whole_request(void **state)
{
	struct parsed p;

	assert_int_equal(parse(&p, "\r\nPOST /a%20b?c=d HTTP/1.1\r\n"
				   "HOST: localhost:80\r\n"
				   "X-Empty:\r\n"
				   "X-Padded: \t a b \t \r\n"
				   "Content-Length: 0012\r\n"
				   "Expect: 100-Continue\r\n"
				   "Connection: x, Close\r\n\r\n"),
			 0);
	assert_int_equal(p.head.method, HTTP_POST);
	assert_string_equal(p.head.path, "/a%20b");
	assert_string_equal(p.head.query, "c=d");
	assert_int_equal(p.head.n_headers, 6);
	assert_string_equal(p.headers[0].name, "host");
	assert_string_equal(p.headers[0].value, "localhost:80");
	assert_string_equal(p.headers[1].value, "");
	assert_string_equal(p.headers[2].name, "x-padded");
	assert_string_equal(p.headers[2].value, "a b");
	assert_int_equal(p.head.content_length, 12);
	assert_true(p.head.expect_continue);
	assert_true(p.head.close);
	assert_false(p.head.chunked);
	assert_false(p.head.http_1_0);
}

static void test_targets(void **state)
{
	struct parsed p;

	assert_int_equal(parse(&p, "GET http://a:1/b?c HTTP/1.1\r\n"
				   "Host: A:1\r\n\r\n"),
			 0);
	assert_string_equal(p.head.path, "/b");
	assert_string_equal(p.head.query, "c");
	assert_int_equal(parse(&p, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_true(p.head.asterisk);
	assert_int_equal(parse(&p, "GET / HTTP/1.0\r\n\r\n"), 0);
	assert_string_equal(p.head.path, "/");
	assert_string_equal(p.head.query, "");
	assert_true(p.head.http_1_0);
}

static void test_refused(void **state)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{ 400, "GET / HTTP/1.1\n\n" },
		{ 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\001\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
		{ 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.2\r\nHost: a\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
		{ 501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 501, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" },
		{ 417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n" },
		{ 413, "GET / HTTP/1.1\r\nHost: a\r\n"
		       "Content-Length: 1234567890123456789\r\n\r\n" },
		{ 400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 400, "GET /# HTTP/1.1\r\nHost: a\r\n\r\n" },
	};
	struct parsed p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(parse(&p, cases[i].text), cases[i].status);
}

/* Every byte but the last asks for more; the outcome is the same. */
static void test_scan_byte_by_byte(void **state)
{
	static const char text[] = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
	const char *why = NULL;
	struct head_scan scan = { 0 };
	size_t len = strlen(text) - strlen("rest"), i;

	for (i = 1; i < len; i++)
		assert_int_equal(head_scan(&scan, (const uint8_t *)text, i,
					   MAX_BYTES, &why),
				 0);
	assert_int_equal(head_scan(&scan, (const uint8_t *)text, strlen(text),
				   MAX_BYTES, &why),
			 len);
	assert_int_equal(scan.lines, 2);
	assert_int_equal(scan.start, 2);
}

/* Wherever a byte stands in a word, it is judged the same. */
static void test_scan_every_byte_everywhere(void **state)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: abcdefghijklmnopqrst"
		"uvwxyz0123456789\r\n\r\n";
	size_t from = strlen("GET / HTTP/1.1\r\nHost: "), len = strlen(text);
	uint8_t copy[sizeof(text)];
	const char *why = NULL;

	for (size_t at = from; at < len - 4; at++)
		for (int b = 0; b < 256; b++) {
			struct head_scan scan = { 0 };
			bool bad = (b < 0x20 && b != '\t') || b == 0x7f;

			memcpy(copy, text, sizeof(text));
			copy[at] = (uint8_t)b;
			assert_int_equal(head_scan(&scan, copy, len, MAX_BYTES,
						   &why),
					 bad ? -400 : (ssize_t)len);
		}
}

static void test_scan_limit(void **state)
{
	struct head_scan scan = { 0 };
	uint8_t text[64];
	const char *why = NULL;

	memset(text, 'a', sizeof(text));
	assert_int_equal(head_scan(&scan, text, 63, 64, &why), 0);
	assert_int_equal(head_scan(&scan, text, 64, 64, &why), -431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_request),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_scan_byte_by_byte),
		cmocka_unit_test(test_scan_every_byte_everywhere),
		cmocka_unit_test(test_scan_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
