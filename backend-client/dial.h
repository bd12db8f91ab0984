/* From an endpoint to a connected, non-blocking socket. */
#pragma once

#include "common/macro.h"

struct dial;
struct endpoint;
struct event_base;

/* fd: connected, the receiver's; or negative errno with a sentence in why.
 * Never called from within dial_start(). The dial may be freed inside. */
typedef void (*dial_done_fn)(void *ctx, int fd, const char *why);

int dial_start(struct dial **out, struct event_base *base,
	       const struct endpoint *to, dial_done_fn done,
	       void *ctx) MUST_CHECK;
/* Also gives up; NULL is fine. */
void dial_free(struct dial *d);
