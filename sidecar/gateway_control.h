/*
 * The gateway's control socket: a 0600 unix listener. Who connects has the
 * gateway's uid, or is root, and is handed out.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

struct event_base;
struct gateway_control;

#define GATEWAY_CONTROL_PREFIX "listen:"

/* address: "listen:PATH". on_stream takes fd. 0, or negative errno with a
 * sentence in err. */
int gateway_control_new(struct gateway_control **out, struct event_base *base,
			const char *address,
			void (*on_stream)(int fd, void *ctx), void *ctx,
			char *err, size_t err_size) MUST_CHECK;
/* The socket file goes, too. */
void gateway_control_free(struct gateway_control *c);
