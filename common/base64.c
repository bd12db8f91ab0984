#include "common/base64.h"

#include <errno.h>

/* The last two digits are where the alphabets differ. */
struct base64_alphabet {
	char digit_62, digit_63;
};

static const struct base64_alphabet base64_standard = { '+', '/' };
static const struct base64_alphabet base64_url = { '-', '_' };

/* 0 to 63, or -1 for what is no digit. */
static int base64_value(const struct base64_alphabet *alphabet, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == alphabet->digit_62 ? 62 : c == alphabet->digit_63 ? 63 : -1;
}

/* s has no padding. */
static ssize_t base64_decode_digits(const struct base64_alphabet *alphabet,
				    const char *s, size_t len, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t n = 0;

	if (len % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(alphabet, s[i]);

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

static size_t base64_padding(const char *s, size_t len)
{
	if (!len || s[len - 1] != '=')
		return 0;
	return s[len - 2] == '=' ? 2 : 1;
}

ssize_t base64_decode(const char *s, size_t len, uint8_t *out)
{
	if (len % 4)
		return -EINVAL;
	return base64_decode_digits(&base64_standard, s,
				    len - base64_padding(s, len), out);
}

ssize_t base64_url_decode(const char *s, size_t len, uint8_t *out)
{
	return base64_decode_digits(&base64_url, s, len, out);
}

size_t base64_url_encode(const void *data, size_t len, char *out)
{
	static const char digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";
	const uint8_t *in = data;
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			out[n++] = digits[bits >> (n_bits - 6) & 63];
	}
	if (n_bits)
		out[n++] = digits[bits << (6 - n_bits) & 63];
	return n;
}
