#include "common/percent.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"

static bool percent_is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

size_t percent_encode(const char *s, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = out;

	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;

		if (percent_is_plain(c)) {
			*p++ = *s;
			continue;
		}
		*p++ = '%';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	*p = '\0';
	return (size_t)(p - out);
}

int percent_append(struct buf *b, const char *s)
{
	int r = buf_reserve(b, PERCENT_ENCODED_BYTES(strlen(s)));

	if (!r)
		b->len += percent_encode(s, (char *)b->data + b->len);
	return r;
}

int percent_append_query(struct buf *b, const char *name, const char *value)
{
	int r = value ? buf_printf(b, "&%s=", name) : 0;

	return r || !value ? r : percent_append(b, value);
}

int percent_decode(const char *s, size_t len, bool plus_is_space, char *out,
		   size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(s[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (n + 1 >= size)
			return -EINVAL;
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}
