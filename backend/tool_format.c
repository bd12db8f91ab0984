#include "backend/tool_format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "common/hex.h"
#include "common/macro.h"

#define TOOL_HOSTNAME_MAX_BYTES 253
#define TOOL_HOSTNAME_LABEL_MAX_BYTES 63
#define TOOL_EMAIL_MAX_BYTES 254
#define TOOL_EMAIL_LOCAL_MAX_BYTES 64

static bool tool_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool tool_label_ok(const char *s, size_t len)
{
	if (len == 0 || len > TOOL_HOSTNAME_LABEL_MAX_BYTES || s[0] == '-' ||
	    s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!tool_is_alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool tool_format_is_hostname(const char *s, size_t len)
{
	size_t start = 0;

	if (len == 0 || len > TOOL_HOSTNAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && s[i] != '.')
			continue;
		if (!tool_label_ok(s + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

/* RFC 5321's Mailbox without quoted strings and address literals, which
 * nobody has. */
bool tool_format_is_email(const char *s, size_t len)
{
	const char *at = memrchr(s, '@', len);
	size_t local = at ? (size_t)(at - s) : 0;

	if (len > TOOL_EMAIL_MAX_BYTES || local == 0 ||
	    local > TOOL_EMAIL_LOCAL_MAX_BYTES || s[0] == '.' ||
	    s[local - 1] == '.')
		return false;
	for (size_t i = 0; i < local; i++) {
		if (s[i] == '.' && s[i + 1] == '.')
			return false;
		if (s[i] == '\0' || (!tool_is_alnum(s[i]) &&
				     !strchr(".!#$%&'*+-/=?^_`{|}~", s[i])))
			return false;
	}
	return tool_format_is_hostname(at + 1, len - local - 1);
}

/* RFC 3986: a scheme, and afterwards only what a URI is made of. */
static bool tool_format_is_uri(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && (tool_is_alnum(s[i]) ||
			   (i && strchr("+-.", s[i]) && s[i] != '\0')))
		i++;
	if (i == 0 || i + 1 >= len || s[i] != ':' || isdigit((uint8_t)s[0]))
		return false;
	for (i++; i < len; i++) {
		if (s[i] == '%') {
			if (len - i < 3 || hex_value(s[i + 1]) < 0 ||
			    hex_value(s[i + 2]) < 0)
				return false;
		} else if (s[i] == '\0' ||
			   (!tool_is_alnum(s[i]) &&
			    !strchr("-._~:/?#[]@!$&'()*+,;=", s[i]))) {
			return false;
		}
	}
	return true;
}

/* Two digits at s, -1 for none. */
static int tool_two_digits(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + s[1] - '0';
}

static int tool_days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30,
				    31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool tool_date_ok(const char *s)
{
	int century = tool_two_digits(s), year = tool_two_digits(s + 2);
	int month = tool_two_digits(s + 5), day = tool_two_digits(s + 8);

	return century >= 0 && year >= 0 && s[4] == '-' && s[7] == '-' &&
	       month >= 1 && month <= 12 && day >= 1 &&
	       day <= tool_days_of_month(century * 100 + year, month);
}

/* "Z" or "+02:00"; *minutes east of Greenwich. */
static bool tool_zone_ok(const char *s, size_t len, int *minutes)
{
	int hour, minute;

	*minutes = 0;
	if (len == 1)
		return s[0] == 'Z' || s[0] == 'z';
	if (len != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':')
		return false;
	hour = tool_two_digits(s + 1);
	minute = tool_two_digits(s + 4);
	*minutes = (s[0] == '-' ? -1 : 1) * (hour * 60 + minute);
	return hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59;
}

/* RFC 3339; second 60 only where UTC can have it. */
static bool tool_format_is_date_time(const char *s, size_t len)
{
	int hour, minute, second, east;
	size_t i = 19;

	if (len < 20 || !tool_date_ok(s) || (s[10] != 'T' && s[10] != 't') ||
	    s[13] != ':' || s[16] != ':')
		return false;
	hour = tool_two_digits(s + 11);
	minute = tool_two_digits(s + 14);
	second = tool_two_digits(s + 17);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
	    second > 60)
		return false;
	if (s[i] == '.') {
		size_t digits = ++i;

		while (i < len && s[i] >= '0' && s[i] <= '9')
			i++;
		if (i == digits)
			return false;
	}
	if (!tool_zone_ok(s + i, len - i, &east))
		return false;
	return second < 60 ||
	       (hour * 60 + minute - east + 2880) % 1440 == 23 * 60 + 59;
}

static bool tool_format_is_address(int family, const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];

	if (len >= sizeof(text) || memchr(s, '\0', len))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return inet_pton(family, text, address) == 1;
}

static bool tool_format_is_ipv4(const char *s, size_t len)
{
	return tool_format_is_address(AF_INET, s, len);
}

static bool tool_format_is_ipv6(const char *s, size_t len)
{
	return tool_format_is_address(AF_INET6, s, len);
}

const struct tool_format *tool_format_find(const char *name)
{
	static const struct tool_format formats[] = {
		{ "email", "an email address", tool_format_is_email },
		{ "uri", "a URI with a scheme", tool_format_is_uri },
		{ "date-time", "a time like 2026-01-31T12:00:00Z",
		  tool_format_is_date_time },
		{ "hostname", "a host name", tool_format_is_hostname },
		{ "ipv4", "an IPv4 address", tool_format_is_ipv4 },
		{ "ipv6", "an IPv6 address", tool_format_is_ipv6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}
