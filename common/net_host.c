#include "common/net_host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NET_HOST_LABEL_MAX_BYTES 63
#define NET_HOST_PORT_MAX 65535
#define NET_HOST_PORT_DIGITS 5

static bool net_host_label_valid(const char *s, size_t len)
{
	if (!len || len > NET_HOST_LABEL_MAX_BYTES || s[0] == '-' ||
	    s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

static bool net_host_name_valid(const char *host)
{
	size_t len;

	for (;; host += len + 1) {
		len = strcspn(host, ".");
		if (!net_host_label_valid(host, len))
			return false;
		if (!host[len])
			return true;
	}
}

/* Resolvers take what ends in a number for an address, in any of its forms. */
static bool net_host_ends_in_number(const char *host)
{
	const char *last = strrchr(host, '.');

	last = last ? last + 1 : host;
	return last[strspn(last, "0123456789")] == '\0' ||
	       !strncmp(last, "0x", 2);
}

static int net_host_ipv6(char out[NET_HOST_BYTES], enum net_host_kind *kind)
{
	struct in6_addr ip;
	size_t len = strlen(out);

	*kind = NET_HOST_IPV6;
	if (*out == '[') {
		if (len < 2 || out[len - 1] != ']')
			return -EINVAL;
		memmove(out, out + 1, len - 2);
		out[len - 2] = '\0';
	}
	if (inet_pton(AF_INET6, out, &ip) != 1)
		return -EINVAL;
	inet_ntop(AF_INET6, &ip, out, NET_HOST_BYTES);
	return 0;
}

int net_host_normal(const char *host, size_t len, char out[NET_HOST_BYTES],
		    enum net_host_kind *kind)
{
	struct in_addr ip;

	if (!len || len > NET_HOST_MAX_BYTES || memchr(host, '\0', len))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)host[i]);
	out[len] = '\0';
	if (*out == '[' || strchr(out, ':'))
		return net_host_ipv6(out, kind);
	if (out[len - 1] == '.')
		out[len - 1] = '\0';
	*kind = net_host_ends_in_number(out) ? NET_HOST_IPV4 : NET_HOST_NAME;
	if (*kind == NET_HOST_IPV4)
		return inet_pton(AF_INET, out, &ip) == 1 ? 0 : -EINVAL;
	return net_host_name_valid(out) ? 0 : -EINVAL;
}

static int net_host_port(const char *s, size_t len, uint16_t *port)
{
	unsigned int n = 0;

	if (!len || len > NET_HOST_PORT_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -EINVAL;
		n = n * 10 + (unsigned int)(s[i] - '0');
	}
	if (!n || n > NET_HOST_PORT_MAX)
		return -EINVAL;
	*port = (uint16_t)n;
	return 0;
}

int net_host_split(const char *authority, size_t len, char out[NET_HOST_BYTES],
		   enum net_host_kind *kind, uint16_t *port)
{
	const char *end = authority + len, *colon;

	if (len && *authority == '[') {
		colon = memchr(authority, ']', len);
		colon = colon && colon + 1 < end ? colon + 1 : NULL;
		if (colon && *colon != ':')
			return -EINVAL;
	} else {
		colon = memchr(authority, ':', len);
	}
	if (colon && net_host_port(colon + 1, (size_t)(end - colon - 1), port))
		return -EINVAL;
	if (colon)
		len = (size_t)(colon - authority);
	return net_host_normal(authority, len, out, kind);
}
