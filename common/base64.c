#include "common/base64.h"

#include <errno.h>

/* 0 to 63, or -1 for what is no digit. */
static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t base64_padding(const char *s, size_t len)
{
	if (!len || s[len - 1] != '=')
		return 0;
	return s[len - 2] == '=' ? 2 : 1;
}

ssize_t base64_decode(const char *s, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t n = 0;

	if (len % 4)
		return -EINVAL;
	len -= base64_padding(s, len);
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(s[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	if (bits & ((1u << n_bits) - 1))
		return -EINVAL;
	return (ssize_t)n;
}
