/* Name lookup that does not hold up the loop: numeric addresses at once,
 * names in a thread of their own. */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct addrinfo;
struct event_base;
struct resolve;

/* error: 0 or a gai_strerror() code; list belongs to the receiver
 * (freeaddrinfo). Never called from within resolve_start(). */
typedef void (*resolve_done_fn)(void *ctx, int error, struct addrinfo *list);

int resolve_start(struct resolve **out, struct event_base *base,
		  const char *host, uint16_t port, resolve_done_fn done,
		  void *ctx) MUST_CHECK;
/* Also after done was called. NULL is fine. */
void resolve_free(struct resolve *r);
