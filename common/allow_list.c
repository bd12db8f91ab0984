#include "common/allow_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/options.h"

/* A name's last dot says that it is complete. */
static bool host_equal(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n && a[n - 1] == '.')
		n--;
	if (m && b[m - 1] == '.')
		m--;
	return n == m && strncasecmp(a, b, n) == 0;
}

bool allow_list_has(const struct allow_list *a, const char *host,
		    const struct sockaddr *address)
{
	uint8_t bytes[ADDRESS_BYTES];
	uint16_t port;

	if (!address_bytes(address, bytes, &port))
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct allow_list_entry *e = &a->items[i];

		if (e->port && e->port != port)
			continue;
		if (*e->host ? host_equal(e->host, host)
			     : address_bits_equal(bytes, e->network, e->bits))
			return true;
	}
	return false;
}

bool allow_list_permits(const struct allow_list *a, const char *host,
			const struct sockaddr *address)
{
	return address_is_public(address) || allow_list_has(a, host, address);
}

/* Splits a port off: what follows the last colon, unless the colons are those
 * of an IPv6 address without brackets. Takes the brackets off. */
static int entry_split(char *host, uint16_t *port)
{
	size_t len = strlen(host);
	char *close = host[0] == '[' ? strchr(host, ']') : NULL;
	char *colon = close ? close + 1 : strrchr(host, ':');
	uint64_t n = 0;

	if (host[0] == '[' && !close)
		return -EINVAL;
	if (!close && colon && strchr(host, ':') != colon)
		colon = NULL;
	if (colon && *colon == ':') {
		if (option_parse_uint(colon + 1, &n) || n == 0 || n > 65535)
			return -EINVAL;
		*colon = '\0';
	} else if (close && close[1]) {
		return -EINVAL;
	}
	*port = (uint16_t)n;
	if (close) {
		*close = '\0';
		memmove(host, host + 1, len - 1);
	}
	return *host ? 0 : -EINVAL;
}

/* True when the text is an address or a network; *r says whether it is a good
 * one. */
static bool entry_is_network(struct allow_list_entry *e, char *text, int *r)
{
	char *slash = strchr(text, '/');
	uint64_t bits, most;
	bool is_v4;

	*r = 0;
	if (slash)
		*slash = '\0';
	if (!address_parse(text, e->network, &is_v4)) {
		if (slash)
			*r = -EINVAL;
		return slash != NULL;
	}
	most = is_v4 ? 32 : 128;
	bits = most;
	if (slash && (option_parse_uint(slash + 1, &bits) || bits > most))
		*r = -EINVAL;
	e->bits = (unsigned int)(is_v4 ? bits + ADDRESS_V4_BITS : bits);
	return true;
}

static bool host_valid(const char *s)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	return *s && *s != '.' && *s != '-' && strspn(s, chars) == strlen(s);
}

static int entry_parse(struct allow_list_entry *e, const char *text)
{
	char host[ALLOW_LIST_HOST_MAX_BYTES + 8];
	int r;

	*e = (struct allow_list_entry){ 0 };
	if (strlen(text) >= sizeof(host))
		return -EINVAL;
	strcpy(host, text);
	r = entry_split(host, &e->port);
	if (r || entry_is_network(e, host, &r))
		return r;
	if (!host_valid(host) || strlen(host) >= sizeof(e->host))
		return -EINVAL;
	strcpy(e->host, host);
	return 0;
}

int allow_list_add(struct allow_list *a, const char *text, char *err,
		   size_t err_size)
{
	struct allow_list_entry e, *items;

	if (a->n == ALLOW_LIST_MAX) {
		snprintf(err, err_size, "%s: there are %d already", text,
			 ALLOW_LIST_MAX);
		return -EINVAL;
	}
	if (entry_parse(&e, text)) {
		snprintf(err, err_size,
			 "%.200s: a host, an address or a network is expected, "
			 "such as mail.internal:25, 10.0.0.0/8 or [::1]:8080",
			 text);
		return -EINVAL;
	}
	items = reallocarray(a->items, a->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	items[a->n++] = e;
	a->items = items;
	return 0;
}

void allow_list_deinit(struct allow_list *a)
{
	free(a->items);
	*a = (struct allow_list){ 0 };
}
