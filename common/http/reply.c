#include "common/http/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http/problem.h"

#define CHUNK_SIZE_LINE_BYTES 20 /* 16 digits, CR LF, NUL */
#define FIXED_HEAD_BYTES 256     /* status line and the headers we add */
#define LENGTH_DIGITS_MAX 20

bool reply_is_content_length(const struct http_header *h)
{
	return strcasecmp(h->name, "content-length") == 0;
}

int64_t reply_content_length(const struct http_header *headers, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (reply_is_content_length(&headers[i]))
			return strtoll(headers[i].value, NULL, 10);
	return -1;
}

/* The next two look at every byte, so that the compiler takes 16 at a time. */

static bool name_sendable(const char *name)
{
	size_t len = strlen(name), i;
	uint8_t bad = !len;

	for (i = 0; i < len; i++) {
		uint8_t c = (uint8_t)name[i];

		bad |= (c <= 0x20) | (c == ':') | (c == 0x7f);
	}
	return !bad;
}

static bool value_sendable(const char *value)
{
	size_t len = strlen(value), i;
	uint8_t bad = 0;

	for (i = 0; i < len; i++) {
		uint8_t c = (uint8_t)value[i];

		bad |= ((c < 0x20) & (c != '\t')) | (c == 0x7f);
	}
	return !bad;
}

bool reply_header_sendable(const struct http_header *h)
{
	if (!name_sendable(h->name) || !value_sendable(h->value))
		return false;
	switch (h->name[0] | 0x20) {
	case 'c':
		return strcasecmp(h->name, "connection") != 0;
	case 'd':
		return strcasecmp(h->name, "date") != 0;
	case 't':
		return strcasecmp(h->name, "transfer-encoding") != 0;
	default:
		return true;
	}
}

static char *put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

#define PUT_LITERAL(p, s) put(p, s, sizeof(s) - 1)

static char *put_number(char *p, uint64_t n)
{
	char digits[LENGTH_DIGITS_MAX];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	return put(p, digits + i, sizeof(digits) - i);
}

static char *put_status_line(char *p, int status)
{
	const char *phrase = http_status_phrase(status);

	p = PUT_LITERAL(p, "HTTP/1.1 ");
	p = put_number(p, (uint64_t)status);
	*p++ = ' ';
	p = put(p, phrase, strlen(phrase));
	return PUT_LITERAL(p, "\r\n");
}

static char *put_own_headers(char *p, const struct reply *r)
{
	p = PUT_LITERAL(p, "Date: ");
	p = put(p, r->date, r->date_len);
	p = PUT_LITERAL(p, "\r\n");
	if (r->length >= 0) {
		p = PUT_LITERAL(p, "Content-Length: ");
		p = put_number(p, (uint64_t)r->length);
		p = PUT_LITERAL(p, "\r\n");
	}
	if (r->chunked)
		p = PUT_LITERAL(p, "Transfer-Encoding: chunked\r\n");
	if (r->close)
		p = PUT_LITERAL(p, "Connection: close\r\n");
	else if (r->keep_alive)
		p = PUT_LITERAL(p, "Connection: keep-alive\r\n");
	return p;
}

int reply_render(struct buf *out, const struct reply *r)
{
	size_t size = FIXED_HEAD_BYTES + r->body_len, i;
	const struct http_header *h;
	char *p;
	int e;

	for (i = 0; i < r->n_headers; i++)
		size += strlen(r->headers[i].name) +
			strlen(r->headers[i].value) + 4;
	e = buf_reserve(out, size);
	if (e < 0)
		return e;
	p = (char *)out->data + out->len;
	p = put_status_line(p, r->status);
	p = put_own_headers(p, r);
	for (i = 0; i < r->n_headers; i++) {
		h = &r->headers[i];
		if (!reply_header_sendable(h) || reply_is_content_length(h))
			continue;
		p = put(p, h->name, strlen(h->name));
		p = PUT_LITERAL(p, ": ");
		p = put(p, h->value, strlen(h->value));
		p = PUT_LITERAL(p, "\r\n");
	}
	p = PUT_LITERAL(p, "\r\n");
	if (r->body_len)
		p = put(p, r->body, r->body_len);
	out->len = (size_t)(p - (char *)out->data);
	return 0;
}

int reply_chunk(struct buf *out, const void *data, size_t len)
{
	char line[CHUNK_SIZE_LINE_BYTES];
	int n = snprintf(line, sizeof(line), "%zx\r\n", len), r;
	char *p;

	r = buf_reserve(out, (size_t)n + len + 2);
	if (r < 0)
		return r;
	p = (char *)out->data + out->len;
	p = put(p, line, (size_t)n);
	p = put(p, data, len);
	p = PUT_LITERAL(p, "\r\n");
	out->len = (size_t)(p - (char *)out->data);
	return 0;
}
