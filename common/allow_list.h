/*
 * Targets that an administrator names beside the public internet
 * (--tools-allow, --egress-allow), HOST|CIDR[:PORT] each. Asked with the
 * address that is about to be connected to, so that neither a name that
 * resolves to another address the second time nor a redirect gets around it.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/macro.h"

#define ALLOW_LIST_MAX 256
#define ALLOW_LIST_HOST_MAX_BYTES 256

struct allow_list_entry {
	char host[ALLOW_LIST_HOST_MAX_BYTES]; /* "": a network */
	uint8_t network[16];                  /* IPv4 as ::ffff:a.b.c.d */
	unsigned int bits;                    /* that must be equal */
	uint16_t port;                        /* 0: any */
};

/* Zero-initialised: empty. */
struct allow_list {
	struct allow_list_entry *items;
	size_t n;
};

/*
 * "mail.internal", "mail.internal:25", "10.0.0.0/8", "10.1.2.3:8080",
 * "fd00::/8", "[::1]:8080". 0, -EINVAL with a sentence in err, or -ENOMEM.
 */
int allow_list_add(struct allow_list *a, const char *text, char *err,
		   size_t err_size) MUST_CHECK;
void allow_list_deinit(struct allow_list *a);

/* Whether the list has it. host: as the URL has it, without brackets; an entry
 * for it allows whatever address it has. */
bool allow_list_has(const struct allow_list *a, const char *host,
		    const struct sockaddr *address);
/* The same, or a public address. */
bool allow_list_permits(const struct allow_list *a, const char *host,
			const struct sockaddr *address);
