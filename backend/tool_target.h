/*
 * Where tools may connect to: addresses of the public internet, and what
 * --tools-allow names beside them. Asked with the address that is about to be
 * connected to, so that neither a name that resolves to another address the
 * second time nor a redirect gets around it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/macro.h"

#define TOOL_TARGET_ALLOW_MAX 256
#define TOOL_TARGET_HOST_MAX_BYTES 256
#define TOOL_TARGET_TEXT_BYTES 64 /* "[2001:db8::1]:65535" and a NUL */

/* One --tools-allow: HOST|CIDR[:PORT]. */
struct tool_target_entry {
	char host[TOOL_TARGET_HOST_MAX_BYTES]; /* "": a network */
	uint8_t network[16];                   /* IPv4 as ::ffff:a.b.c.d */
	unsigned int bits; /* of the 128 that must be equal */
	uint16_t port;     /* 0: any */
};

struct tool_target_allow {
	struct tool_target_entry *items;
	size_t n;
};

/*
 * "mail.internal", "mail.internal:25", "10.0.0.0/8", "10.1.2.3:8080",
 * "fd00::/8", "[::1]:8080". 0, -EINVAL with a sentence in err, or -ENOMEM.
 */
int tool_target_allow_add(struct tool_target_allow *a, const char *text,
			  char *err, size_t err_size) MUST_CHECK;
void tool_target_allow_deinit(struct tool_target_allow *a);

/* False for every address that is not one of the public internet: this host,
 * private networks, link-local, multicast, reserved, examples, and what stands
 * for such an IPv4 address in IPv6. */
bool tool_target_is_public(const struct sockaddr *address);

/* host: as the URL has it, without brackets; an entry for it allows whatever
 * address it has. */
bool tool_target_permitted(const struct tool_target_allow *a, const char *host,
			   const struct sockaddr *address);

/* "192.0.2.1:80", for messages. */
const char *tool_target_text(const struct sockaddr *address,
			     char out[TOOL_TARGET_TEXT_BYTES]);
