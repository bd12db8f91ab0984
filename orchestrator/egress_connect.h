/*
 * One connection to the outside for a script: its name is looked up once, every
 * address that it has must be one that may be connected to, and those addresses
 * are tried one after the other. A name that changes its address in between
 * gains nothing, for it is not looked up again.
 *
 *   LOOKUP ─▶ CONNECTING (address by address) ─▶ done
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct allow_list;
struct egress_connect;
struct event_base;

#define EGRESS_CONNECT_MS 15000        /* from the request to the socket */
#define EGRESS_CONNECT_ADDRESS_MS 5000 /* each address, while one is left */
#define EGRESS_CONNECT_ADDRESSES_MAX 16
#define EGRESS_CONNECT_DETAIL_BYTES 768

struct egress_connect_result {
	int fd;              /* connected, of the receiver; or -1 */
	const char *address; /* that it is connected to; where fd is */
	const char *refused; /* private | unresolved | unreachable | timeout */
	const char *detail;  /* a sentence: what, with which value, what next */
};

typedef void (*egress_connect_fn)(void *ctx,
				  const struct egress_connect_result *result);

/* host: of net_host_normal(). allow, beside public addresses, outlives it. done
 * is called once, from the loop, and may free it. 0 or negative errno. */
int egress_connect_start(struct egress_connect **out, struct event_base *base,
			 const struct allow_list *allow, const char *host,
			 uint16_t port, egress_connect_fn done,
			 void *ctx) MUST_CHECK;
/* Also after done, and while it is under way. NULL is fine. */
void egress_connect_free(struct egress_connect *c);
