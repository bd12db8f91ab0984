#include "common/http/target.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/macro.h"

#define TARGET_PORT_MAX 65535

/* Characters of path and query beside letters, digits and escapes. */
static const char TARGET_EXTRA[] = "/-._~!$&'()*+,;=:@?";
static const char HOST_EXTRA[] = "-._~";

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c) != 0;
}

bool target_valid(const char *s, size_t len)
{
	size_t i;

	if (!len || s[0] != '/')
		return false;
	for (i = 0; i < len; i++) {
		char c = s[i];

		if (is_alnum(c) || is_one_of(c, TARGET_EXTRA))
			continue;
		if (c != '%' || len - i < 3 || !is_hex(s[i + 1]) ||
		    !is_hex(s[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

static bool port_valid(const char *s, size_t len)
{
	unsigned int port = 0;
	size_t i;

	if (!len || len > 5)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(s[i] - '0');
	}
	return port <= TARGET_PORT_MAX;
}

/* Bytes of "[…]" at s, 0 when it is not an address literal. */
static size_t literal_span(const char *s, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++) {
		if (s[i] == ']')
			return i > 2 ? i + 1 : 0;
		if (!is_hex(s[i]) && s[i] != ':' && s[i] != '.')
			return 0;
	}
	return 0;
}

bool target_authority_valid(const char *s, size_t len)
{
	size_t n = 0;

	if (!len)
		return false;
	if (s[0] == '[')
		n = literal_span(s, len);
	else
		while (n < len &&
		       (is_alnum(s[n]) || is_one_of(s[n], HOST_EXTRA)))
			n++;
	if (!n)
		return false;
	if (n == len)
		return true;
	return s[n] == ':' && port_valid(s + n + 1, len - n - 1);
}

size_t target_absolute(const char *s, size_t len, const char **authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		n = strlen(schemes[i]);
		if (len <= n || strncasecmp(s, schemes[i], n) != 0)
			continue;
		*authority = s + n;
		for (len -= n, n = 0; n < len; n++)
			if (strchr("/?", (*authority)[n]))
				break;
		return n;
	}
	return 0;
}
