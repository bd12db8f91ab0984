#include "common/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_MIN_BYTES 256

void buf_deinit(struct buf *b)
{
	if (b->data)
		free(b->data - b->off);
	*b = (struct buf){ 0 };
}

void buf_deinit_secret(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data - b->off, b->off + b->cap);
	buf_deinit(b);
}

static void buf_rewind(struct buf *b)
{
	if (!b->off)
		return;
	memmove(b->data - b->off, b->data, b->len);
	b->data -= b->off;
	b->cap += b->off;
	b->off = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t cap;
	uint8_t *data;

	if (b->cap - b->len >= n)
		return 0;
	buf_rewind(b);
	if (b->cap - b->len >= n)
		return 0;
	if (n > SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	cap = MAX(b->len + n, MAX(b->cap * 2, BUF_MIN_BYTES));
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
	int r;

	if (!n)
		return 0;
	r = buf_reserve(b, n);
	if (r < 0)
		return r;
	memcpy(b->data + b->len, data, n);
	b->len += n;
	return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buf_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (!n)
		return; /* also of a buffer that holds nothing at all */
	b->data += n;
	b->off += n;
	b->len -= n;
	b->cap -= n;
	if (!b->len)
		buf_rewind(b);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	buf_rewind(b);
}

char *buf_cstr(struct buf *b)
{
	if (buf_reserve(b, 1) < 0)
		return NULL;
	b->data[b->len] = '\0';
	return (char *)b->data;
}

char *buf_take(struct buf *b, size_t *len)
{
	char *s;

	buf_rewind(b);
	s = buf_cstr(b);
	if (!s)
		return NULL;
	if (len)
		*len = b->len;
	*b = (struct buf){ 0 };
	return s;
}
