#include "common/http/chunked.h"

#include <errno.h>

#include "common/hex.h"

static int read_size(struct chunked *c, uint8_t b)
{
	int digit = hex_value((char)b);

	if (digit >= 0) {
		if (++c->digits > CHUNKED_SIZE_DIGITS_MAX)
			return -EINVAL;
		c->left = c->left << 4 | (uint64_t)digit;
		c->state = CHUNKED_SIZE;
		return 0;
	}
	if (c->state == CHUNKED_SIZE_FIRST)
		return -EINVAL;
	if (b == '\r')
		c->state = CHUNKED_SIZE_LF;
	else if (b == ';')
		c->state = CHUNKED_EXTENSION;
	else
		return -EINVAL;
	return 0;
}

static int read_extension(struct chunked *c, uint8_t b)
{
	if (b == '\r') {
		c->state = CHUNKED_SIZE_LF;
		return 0;
	}
	if ((b < 0x20 && b != '\t') || b >= 0x7f)
		return -EINVAL;
	if (++c->extension_bytes > CHUNKED_EXTENSION_MAX_BYTES)
		return -EINVAL;
	return 0;
}

static int expect(struct chunked *c, uint8_t b, uint8_t wanted,
		  enum chunked_state next)
{
	if (b != wanted)
		return -EINVAL;
	c->state = next;
	return 0;
}

/* One byte of the framing around the data. */
static int read_framing(struct chunked *c, uint8_t b)
{
	switch (c->state) {
	case CHUNKED_SIZE_FIRST:
	case CHUNKED_SIZE:
		return read_size(c, b);
	case CHUNKED_EXTENSION:
		return read_extension(c, b);
	case CHUNKED_SIZE_LF:
		return expect(c, b, '\n',
			      c->left ? CHUNKED_DATA : CHUNKED_END_CR);
	case CHUNKED_DATA_CR:
		return expect(c, b, '\r', CHUNKED_DATA_LF);
	case CHUNKED_DATA_LF:
		c->digits = 0;
		return expect(c, b, '\n', CHUNKED_SIZE_FIRST);
	case CHUNKED_END_CR:
		return expect(c, b, '\r', CHUNKED_END_LF);
	case CHUNKED_END_LF:
		return expect(c, b, '\n', CHUNKED_DONE);
	default:
		return -EINVAL;
	}
}

ssize_t chunked_read(struct chunked *c, const uint8_t *data, size_t len,
		     const uint8_t **piece, size_t *n)
{
	size_t i;

	*n = 0;
	for (i = 0; i < len && c->state != CHUNKED_DONE; i++) {
		if (c->state == CHUNKED_DATA) {
			*piece = data + i;
			*n = (size_t)MIN((uint64_t)(len - i), c->left);
			c->left -= *n;
			if (!c->left)
				c->state = CHUNKED_DATA_CR;
			return (ssize_t)(i + *n);
		}
		if (read_framing(c, data[i]) < 0)
			return -EINVAL;
	}
	return (ssize_t)i;
}
