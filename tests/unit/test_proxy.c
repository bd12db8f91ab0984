/* What the egress proxy makes of a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/http/head.h"
#include "sidecar/proxy_body.h"
#include "sidecar/proxy_head.h"
#include "sidecar/proxy_reply.h"

/* 0 or the status it is refused with. */
static int parse(struct proxy_head *p, const char *text)
{
	struct head_scan scan = { 0 };
	char copy[4096];
	const char *why = NULL;
	ssize_t n = head_scan(&scan, (const uint8_t *)text, strlen(text),
			      PROXY_HEAD_MAX_BYTES, &why);
	int r;

	buf_deinit(&p->forward);
	*p = (struct proxy_head){ 0 };
	if (n < 0)
		return (int)-n;
	assert_int_equal(n, strlen(text));
	n -= (ssize_t)scan.start;
	memcpy(copy, text + scan.start, (size_t)n);
	r = proxy_head_parse(p, copy, (size_t)n, scan.lines, &why);
	assert_true(!r || why);
	return r;
}

static void test_plain(void **state)
{
	struct proxy_head p = { 0 };

	assert_int_equal(
		parse(&p, "POST http://API.example.:8080/a%20b?c=d HTTP/1.1\r\n"
			  "Host: other.example\r\n"
			  "Proxy-Authorization: Basic secret\r\n"
			  "Proxy-Connection: keep-alive\r\n"
			  "Connection: keep-alive, X-Mine\r\n"
			  "X-Mine: dropped\r\n"
			  "Keep-Alive: timeout=5\r\n"
			  "TE: trailers\r\nTrailer: x\r\n"
			  "Upgrade: websocket\r\n"
			  "Authorization: Bearer kept\r\n"
			  "Content-Length: 0012\r\n\r\n"),
		0);
	assert_string_equal(buf_cstr(&p.forward),
			    "POST /a%20b?c=d HTTP/1.1\r\n"
			    "host: api.example:8080\r\n"
			    "authorization: Bearer kept\r\n"
			    "content-length: 12\r\n"
			    "connection: close\r\n\r\n");
	assert_string_equal(p.host, "api.example");
	assert_int_equal(p.port, 8080);
	assert_false(p.connect);
	assert_int_equal(p.body_bytes, 12);
	assert_int_equal(parse(&p, "PROPFIND http://[::1] HTTP/1.0\r\n\r\n"),
			 0);
	assert_string_equal(buf_cstr(&p.forward),
			    "PROPFIND / HTTP/1.0\r\nhost: [::1]\r\n"
			    "connection: close\r\n\r\n");
	assert_int_equal(parse(&p, "HEAD http://a/ HTTP/1.1\r\nHost: a\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"),
			 0);
	assert_true(p.head && p.chunked);
	assert_string_equal(buf_cstr(&p.forward),
			    "HEAD / HTTP/1.1\r\nhost: a\r\n"
			    "transfer-encoding: chunked\r\n"
			    "connection: close\r\n\r\n");
	buf_deinit(&p.forward);
}

static void test_connect(void **state)
{
	struct proxy_head p = { 0 };

	assert_int_equal(parse(&p, "CONNECT A.example:443 HTTP/1.1\r\n"
				   "Host: whatever:1\r\n\r\n"),
			 0);
	assert_true(p.connect);
	assert_string_equal(p.host, "a.example");
	assert_int_equal(p.port, 443);
	assert_int_equal(p.forward.len, 0);
	assert_int_equal(parse(&p, "CONNECT [::1]:22 HTTP/1.0\r\n\r\n"), 0);
	assert_string_equal(p.host, "::1");
}

#define H " HTTP/1.1\r\nHost: a\r\n"

static const char *const wrong_heads[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET a.example" H "\r\n",
	"GET https://a/" H "\r\n",
	"GET ftp://a/" H "\r\n",
	"OPTIONS *" H "\r\n",
	"GET http://user@a/" H "\r\n",
	"GET http://user:pw@a/" H "\r\n",
	"GET http://a:b@127.0.0.1/" H "\r\n",
	"GET http://127.1/" H "\r\n",
	"GET http://2130706433/" H "\r\n",
	"GET http://0x7f.1/" H "\r\n",
	"GET http://a%2eb/" H "\r\n",
	"GET http://%61/" H "\r\n",
	"GET http://a:0/" H "\r\n",
	"GET http://a:65536/" H "\r\n",
	"GET http:///" H "\r\n",
	"GET http://a/#f" H "\r\n",
	"GET http://a\\@b/" H "\r\n",
	"GET http://a?b" H "\r\n",
	"GET http://[::1/" H "\r\n",
	"GET http://[::1%25lo]/" H "\r\n",
	"CONNECT a" H "\r\n",
	"CONNECT a:0" H "\r\n",
	"CONNECT a:65536" H "\r\n",
	"CONNECT a:443/" H "\r\n",
	"CONNECT http://a:443" H "\r\n",
	"CONNECT a@b:443" H "\r\n",
	"CONNECT 127.1:443" H "\r\n",
	"CONNECT :443" H "\r\n",
	"CONNECT a:443" H "Content-Length: 3\r\n\r\n",
	"CONNECT a:443" H "Transfer-Encoding: chunked\r\n\r\n",
	"GET http://a/" H "Host: b\r\n\r\n",
	"GET http://a/ HTTP/1.1\r\n\r\n",
	"POST http://a/" H "Content-Length: 1\r\n"
	"Content-Length: 2\r\n\r\n",
	"POST http://a/" H "Content-Length: 1\r\n"
	"Transfer-Encoding: chunked\r\n\r\n",
	"POST http://a/" H "Transfer-Encoding: gzip\r\n\r\n",
	"POST http://a/" H "Transfer-Encoding : chunked\r\n\r\n",
	"POST http://a/" H "Content-Length: +1\r\n\r\n",
	"GET http://a/" H "A: b\n\r\n",
	"GET http://a/" H " folded\r\n\r\n",
};

static void test_refused(void **state)
{
	struct proxy_head p = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong_heads); i++)
		if (parse(&p, wrong_heads[i]) != 400)
			fail_msg("not refused with 400: %s", wrong_heads[i]);
	assert_int_equal(parse(&p, "GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n"),
			 505);
	buf_deinit(&p.forward);
}

static void read_body(struct proxy_body *b, const char *text, size_t step,
		      struct buf *out, int expected)
{
	size_t len = strlen(text);
	int r = 0;

	for (size_t i = 0; !r && i < len && !b->done; i += step)
		r = proxy_body_read(b, (const uint8_t *)text + i,
				    MIN(step, len - i), out);
	assert_int_equal(r, expected);
}

static void test_body_length(void **state)
{
	struct buf out = { 0 };
	struct proxy_body b;

	proxy_body_init(&b, false, 0);
	assert_true(b.done);
	for (size_t step = 1; step < 9; step++) {
		proxy_body_init(&b, false, 5);
		read_body(&b, "12345GET http://evil/", step, &out, 0);
		assert_true(b.done);
		assert_string_equal(buf_cstr(&out), "12345");
		buf_clear(&out);
	}
	buf_deinit(&out);
}

static void test_body_chunked(void **state)
{
	struct buf out = { 0 };
	struct proxy_body b;

	proxy_body_init(&b, true, 0);
	read_body(&b, "005;x=y\r\nabcde\r\n1\r\nf\r\n0\r\n\r\nGET /", 64, &out,
		  0);
	assert_true(b.done);
	assert_string_equal(buf_cstr(&out),
			    "5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n");
	buf_clear(&out);
	proxy_body_init(&b, true, 0);
	read_body(&b, "3\r\nabcX\r\n", 64, &out, -22);
	proxy_body_init(&b, true, 0);
	read_body(&b, "0\r\nTrailer: x\r\n\r\n", 64, &out, -22);
	buf_deinit(&out);
}

static void test_reply(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1 x\n",
		  "HTTP/1.1 200 OK\r\nconnection: close\r\nA: b\r\n\r\n"
		  "HTTP/1.1 x\n" },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n"
		  "Link: x\r\n\r\nHTTP/1.0 404 No\r\n\r\n",
		  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n"
		  "Link: x\r\n\r\nHTTP/1.0 404 No\r\nconnection: close\r\n"
		  "\r\n" },
		{ "nonsense", "nonsense" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t step = 1; step < 40; step++) {
			struct proxy_reply p = { 0 };
			struct buf out = { 0 };
			size_t len = strlen(cases[i].in);

			for (size_t k = 0; k < len; k += step)
				assert_int_equal(
					proxy_reply_read(
						&p,
						(const uint8_t *)cases[i].in +
							k,
						MIN(step, len - k), &out),
					0);
			assert_string_equal(buf_cstr(&out), cases[i].out);
			buf_deinit(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_body_length),
		cmocka_unit_test(test_body_chunked),
		cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
