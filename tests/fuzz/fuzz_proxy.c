/*
 * A request to the egress proxy: what is sent on in its place must be exactly
 * one request to our own strict reader, with the same body.
 */
#include <stdlib.h>
#include <string.h>

#include "common/http/head.h"
#include "sidecar/proxy_body.h"
#include "sidecar/proxy_head.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The head that is sent on, read as a server would. */
static void check_forward(const struct proxy_head *p)
{
	struct http_header fields[PROXY_HEAD_MAX_FIELDS + 4];
	struct head_scan scan = { 0 };
	struct head h = { .headers = fields };
	char *text = malloc(p->forward.len + 1);
	const char *why;
	ssize_t n;
	int r;

	CHECK(text);
	n = head_scan(&scan, p->forward.data, p->forward.len,
		      2 * PROXY_HEAD_MAX_BYTES, &why);
	CHECK(n == (ssize_t)p->forward.len && !scan.start);
	memcpy(text, p->forward.data, p->forward.len);
	h.n_headers = scan.lines - 1;
	r = head_parse(&h, text, p->forward.len, &why);
	CHECK(!r || r == 501); /* a method that is not ours */
	if (!r) {
		CHECK(h.chunked == p->chunked && h.close);
		CHECK(h.chunked ||
		      MAX(h.content_length, 0) == (int64_t)p->body_bytes);
	}
	free(text);
}

static void check_chunks(const struct buf *out, bool done)
{
	struct chunked c = { 0 };
	const uint8_t *piece;
	size_t pos = 0, n;

	while (pos < out->len && c.state != CHUNKED_DONE) {
		ssize_t used = chunked_read(&c, out->data + pos, out->len - pos,
					    &piece, &n);

		CHECK(used > 0);
		pos += (size_t)used;
	}
	CHECK(pos == out->len && done == (c.state == CHUNKED_DONE));
}

static void check_body(const struct proxy_head *p, const uint8_t *data,
		       size_t len)
{
	struct buf out = { 0 };
	struct proxy_body body;

	proxy_body_init(&body, p->chunked, p->body_bytes);
	for (size_t i = 0; i < len && !body.done; i += 7)
		if (proxy_body_read(&body, data + i, MIN(7, len - i), &out))
			break;
	if (p->chunked)
		check_chunks(&out, body.done);
	else
		CHECK(out.len <= p->body_bytes);
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct head_scan scan = { 0 };
	struct proxy_head p = { 0 };
	const char *why = NULL;
	ssize_t n = head_scan(&scan, data, len, PROXY_HEAD_MAX_BYTES, &why);
	size_t size;
	char *text;
	int r;

	if (n <= 0)
		return 0;
	size = (size_t)n - scan.start;
	text = malloc(size + 1);
	CHECK(text);
	memcpy(text, data + scan.start, size);
	r = proxy_head_parse(&p, text, size, scan.lines, &why);
	CHECK(r >= 0 && (!r || why));
	if (!r) {
		CHECK(*p.host && p.port && !strchr(p.host, '\r'));
		CHECK(p.connect == !p.forward.len);
	}
	if (!r && !p.connect) {
		check_forward(&p);
		check_body(&p, data + n, len - (size_t)n);
	}
	buf_deinit(&p.forward);
	free(text);
	return 0;
}
