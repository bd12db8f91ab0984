#include "common/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_TEXT_MAX_BYTES 400 /* a double takes at most ~330 digits */

struct number {
	bool real;
	int64_t integer;
	double value; /* also of an integer */
};

static size_t number_digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* RFC 8259, section 6. -1 when s is not a number, else whether it is real. */
static int number_scan(const char *s)
{
	bool real = false;
	size_t n;

	s += *s == '-';
	n = number_digits(s);
	if (!n || (n > 1 && *s == '0'))
		return -1;
	s += n;
	if (*s == '.') {
		n = number_digits(++s);
		s += n;
		real = true;
	}
	if (n && (*s == 'e' || *s == 'E')) {
		s++;
		s += *s == '-' || *s == '+';
		n = number_digits(s);
		s += n;
		real = true;
	}
	return n && !*s ? real : -1;
}

static bool number_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int number_parse(const char *s, size_t len, struct number *out)
{
	char text[NUMBER_TEXT_MAX_BYTES];
	int real;

	for (; len && number_is_space(*s); len--)
		s++;
	while (len && number_is_space(s[len - 1]))
		len--;
	if (len >= sizeof(text))
		return NUMBER_E_TYPE;
	memcpy(text, s, len);
	text[len] = '\0';
	real = number_scan(text);
	if (real < 0 || strlen(text) != len)
		return NUMBER_E_TYPE;
	errno = 0;
	out->real = real;
	if (!out->real)
		out->integer = strtoll(text, NULL, 10);
	if (errno == ERANGE)
		return NUMBER_E_RANGE;
	out->value = strtod(text, NULL);
	return isfinite(out->value) ? 0 : NUMBER_E_RANGE;
}

static void number_print_real(double value, char out[NUMBER_MAX_BYTES])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, NUMBER_MAX_BYTES, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	if (!strpbrk(out, ".e"))
		strcat(out, ".0");
}

int number_add(const char *a, size_t a_len, const char *b, size_t b_len,
	       char out[NUMBER_MAX_BYTES])
{
	struct number x = { 0 }, y = { 0 };
	int64_t sum;
	int r = number_parse(a, a_len, &x);

	if (r == 0)
		r = number_parse(b, b_len, &y);
	if (r)
		return r;
	if (x.real || y.real) {
		if (!isfinite(x.value + y.value))
			return NUMBER_E_RANGE;
		number_print_real(x.value + y.value, out);
		return 0;
	}
	if (__builtin_add_overflow(x.integer, y.integer, &sum))
		return NUMBER_E_RANGE;
	snprintf(out, NUMBER_MAX_BYTES, "%" PRId64, sum);
	return 0;
}
