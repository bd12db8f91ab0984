/* Waits until somebody listens on a unix socket of messages (SOCK_SEQPACKET).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

#define SOCKET_WAIT_INTERVAL_MS 20

struct event_base;
struct socket_wait;

/* on_done: once, from the loop; false: not within timeout_ms. It may be freed
 * from within. 0 or negative errno. */
int socket_wait_new(struct socket_wait **out, struct event_base *base,
		    const char *path, uint32_t timeout_ms,
		    void (*on_done)(bool listens, void *ctx),
		    void *ctx) MUST_CHECK;
/* NULL is fine. */
void socket_wait_free(struct socket_wait *w);
