/*
 * Addresses of IPv4 and IPv6 as 16 bytes, and which of them are addresses of
 * the public internet: whoever connects where somebody else says asks with the
 * address that is about to be connected to. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/macro.h"

#define ADDRESS_TEXT_BYTES 64 /* "[2001:db8::1]:65535" and a NUL */
#define ADDRESS_BYTES 16
/* Where IPv4 addresses lie in IPv6: bits of ::ffff:0:0. */
#define ADDRESS_V4_BITS 96

/* False for every address that is not one of the public internet: this host,
 * private networks, link-local, multicast, reserved, examples, and what stands
 * for such an IPv4 address in IPv6. */
bool address_is_public(const struct sockaddr *address);

/* The address, IPv4 as ::ffff:a.b.c.d, and its port. False for any other
 * family. */
bool address_bytes(const struct sockaddr *address, uint8_t out[ADDRESS_BYTES],
		   uint16_t *port);
/* The same of its text: "192.0.2.1" or "2001:db8::1", nothing else; *is_v4 says
 * which. */
bool address_parse(const char *text, uint8_t out[ADDRESS_BYTES], bool *is_v4);
/* Whether the first bits are the same. */
bool address_bits_equal(const uint8_t *a, const uint8_t *b, unsigned int bits);

/* "192.0.2.1:80", for messages. */
const char *address_text(const struct sockaddr *address,
			 char out[ADDRESS_TEXT_BYTES]);
