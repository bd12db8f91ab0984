#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t address_v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

struct address_net {
	const char *text; /* an address */
	unsigned int bits;
};

/* The IANA registries of special-purpose addresses (RFC 6890 and its
 * updates): what is not globally reachable. */
static const struct address_net address_closed_v4[] = {
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
static const struct address_net address_closed_v6[] = {
	{ "2001::", 23 },     /* IETF protocols: Teredo, ORCHID … */
	{ "2001:db8::", 32 }, /* examples */
	{ "3fff::", 20 },     /* examples */
};

bool address_bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool address_in_net(int family, const uint8_t *address,
			   const struct address_net *net)
{
	uint8_t prefix[16];

	return inet_pton(family, net->text, prefix) == 1 &&
	       address_bits_equal(address, prefix, net->bits);
}

static bool address_v4_is_public(const uint8_t address[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(address_closed_v4); i++)
		if (address_in_net(AF_INET, address, &address_closed_v4[i]))
			return false;
	return true;
}

static bool address_v6_is_public(const uint8_t address[16])
{
	static const struct address_net given_out = { "2000::", 3 };
	static const struct address_net six_to_four = { "2002::", 16 };
	static const struct address_net nat64 = { "64:ff9b::", 96 };

	if (!memcmp(address, address_v4_mapped, sizeof(address_v4_mapped)) ||
	    address_in_net(AF_INET6, address, &nat64))
		return address_v4_is_public(address + 12);
	if (address_in_net(AF_INET6, address, &six_to_four))
		return address_v4_is_public(address + 2);
	for (size_t i = 0; i < ARRAY_SIZE(address_closed_v6); i++)
		if (address_in_net(AF_INET6, address, &address_closed_v6[i]))
			return false;
	return address_in_net(AF_INET6, address, &given_out);
}

bool address_bytes(const struct sockaddr *address, uint8_t out[16],
		   uint16_t *port)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET) {
		memcpy(out, address_v4_mapped, sizeof(address_v4_mapped));
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

bool address_is_public(const struct sockaddr *address)
{
	uint8_t bytes[ADDRESS_BYTES];
	uint16_t port;

	return address_bytes(address, bytes, &port) &&
	       address_v6_is_public(bytes);
}

bool address_parse(const char *text, uint8_t out[ADDRESS_BYTES], bool *is_v4)
{
	*is_v4 = inet_pton(AF_INET, text, out + 12) == 1;
	if (*is_v4)
		memcpy(out, address_v4_mapped, sizeof(address_v4_mapped));
	return *is_v4 || inet_pton(AF_INET6, text, out) == 1;
}

const char *address_text(const struct sockaddr *address,
			 char out[ADDRESS_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "?";
	uint8_t bytes[16];
	uint16_t port = 0;
	bool is_v4 = address->sa_family == AF_INET;

	if (address_bytes(address, bytes, &port))
		inet_ntop(is_v4 ? AF_INET : AF_INET6,
			  is_v4 ? bytes + 12 : bytes, host, sizeof(host));
	snprintf(out, ADDRESS_TEXT_BYTES, is_v4 ? "%s:%u" : "[%s]:%u", host,
		 port);
	return out;
}
