#include "backend/tool_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/options.h"

/* Where IPv4 addresses lie in IPv6: 96 bits of prefix. */
#define TARGET_V4_BITS 96

static const uint8_t target_v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

struct target_net {
	const char *text; /* an address */
	unsigned int bits;
};

/* The IANA registries of special-purpose addresses (RFC 6890 and its
 * updates): what is not globally reachable. */
static const struct target_net target_closed_v4[] = {
	{ "0.0.0.0", 8 },       /* this network */
	{ "10.0.0.0", 8 },      /* private */
	{ "100.64.0.0", 10 },   /* carrier-grade NAT */
	{ "127.0.0.0", 8 },     /* loopback */
	{ "169.254.0.0", 16 },  /* link-local, and clouds' metadata */
	{ "172.16.0.0", 12 },   /* private */
	{ "192.0.0.0", 24 },    /* IETF protocols */
	{ "192.0.2.0", 24 },    /* examples */
	{ "192.88.99.0", 24 },  /* 6to4 relays */
	{ "192.168.0.0", 16 },  /* private */
	{ "198.18.0.0", 15 },   /* benchmarks */
	{ "198.51.100.0", 24 }, /* examples */
	{ "203.0.113.0", 24 },  /* examples */
	{ "224.0.0.0", 4 },     /* multicast */
	{ "240.0.0.0", 4 },     /* reserved, broadcast */
};

/* Within 2000::/3, which is all that is given out. */
static const struct target_net target_closed_v6[] = {
	{ "2001::", 23 },     /* IETF protocols: Teredo, ORCHID … */
	{ "2001:db8::", 32 }, /* examples */
	{ "3fff::", 20 },     /* examples */
};

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool in_net(int family, const uint8_t *address,
		   const struct target_net *net)
{
	uint8_t prefix[16];

	return inet_pton(family, net->text, prefix) == 1 &&
	       bits_equal(address, prefix, net->bits);
}

static bool v4_is_public(const uint8_t address[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(target_closed_v4); i++)
		if (in_net(AF_INET, address, &target_closed_v4[i]))
			return false;
	return true;
}

static bool v6_is_public(const uint8_t address[16])
{
	static const struct target_net given_out = { "2000::", 3 };
	static const struct target_net six_to_four = { "2002::", 16 };
	static const struct target_net nat64 = { "64:ff9b::", 96 };

	if (!memcmp(address, target_v4_mapped, sizeof(target_v4_mapped)) ||
	    in_net(AF_INET6, address, &nat64))
		return v4_is_public(address + 12);
	if (in_net(AF_INET6, address, &six_to_four))
		return v4_is_public(address + 2);
	for (size_t i = 0; i < ARRAY_SIZE(target_closed_v6); i++)
		if (in_net(AF_INET6, address, &target_closed_v6[i]))
			return false;
	return in_net(AF_INET6, address, &given_out);
}

/* The address as 16 bytes, and its port. False for any other family. */
static bool target_bytes(const struct sockaddr *address, uint8_t out[16],
			 uint16_t *port)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET) {
		memcpy(out, target_v4_mapped, sizeof(target_v4_mapped));
		memcpy(out + 12, &v4->sin_addr, 4);
		*port = ntohs(v4->sin_port);
		return true;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(out, &v6->sin6_addr, 16);
	*port = ntohs(v6->sin6_port);
	return true;
}

bool tool_target_is_public(const struct sockaddr *address)
{
	uint8_t bytes[16];
	uint16_t port;

	return target_bytes(address, bytes, &port) && v6_is_public(bytes);
}

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

bool tool_target_permitted(const struct tool_target_allow *a, const char *host,
			   const struct sockaddr *address)
{
	uint8_t bytes[16];
	uint16_t port;

	if (!target_bytes(address, bytes, &port))
		return false;
	if (v6_is_public(bytes))
		return true;
	for (size_t i = 0; i < a->n; i++) {
		const struct tool_target_entry *e = &a->items[i];

		if (e->port && e->port != port)
			continue;
		if (*e->host ? host_equal(e->host, host)
			     : bits_equal(bytes, e->network, e->bits))
			return true;
	}
	return false;
}

const char *tool_target_text(const struct sockaddr *address,
			     char out[TOOL_TARGET_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "?";
	uint8_t bytes[16];
	uint16_t port = 0;
	bool is_v4 = address->sa_family == AF_INET;

	if (target_bytes(address, bytes, &port))
		inet_ntop(is_v4 ? AF_INET : AF_INET6,
			  is_v4 ? bytes + 12 : bytes, host, sizeof(host));
	snprintf(out, TOOL_TARGET_TEXT_BYTES, is_v4 ? "%s:%u" : "[%s]:%u", host,
		 port);
	return out;
}

/* ---------------------------------------------------------- the allow list */

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
static bool entry_is_network(struct tool_target_entry *e, char *text, int *r)
{
	char *slash = strchr(text, '/');
	uint64_t bits, most = 128;

	*r = 0;
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, e->network + 12) == 1) {
		memcpy(e->network, target_v4_mapped, sizeof(target_v4_mapped));
		most = 32;
	} else if (inet_pton(AF_INET6, text, e->network) != 1) {
		if (slash)
			*r = -EINVAL;
		return slash != NULL;
	}
	bits = most;
	if (slash && (option_parse_uint(slash + 1, &bits) || bits > most))
		*r = -EINVAL;
	e->bits = (unsigned int)(most == 32 ? bits + TARGET_V4_BITS : bits);
	return true;
}

static bool host_valid(const char *s)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	return *s && *s != '.' && *s != '-' && strspn(s, chars) == strlen(s);
}

static int entry_parse(struct tool_target_entry *e, const char *text)
{
	char host[TOOL_TARGET_HOST_MAX_BYTES + 8];
	int r;

	*e = (struct tool_target_entry){ 0 };
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

int tool_target_allow_add(struct tool_target_allow *a, const char *text,
			  char *err, size_t err_size)
{
	struct tool_target_entry e, *items;

	if (a->n == TOOL_TARGET_ALLOW_MAX) {
		snprintf(err, err_size, "%s: there are %d already", text,
			 TOOL_TARGET_ALLOW_MAX);
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

void tool_target_allow_deinit(struct tool_target_allow *a)
{
	free(a->items);
	*a = (struct tool_target_allow){ 0 };
}
