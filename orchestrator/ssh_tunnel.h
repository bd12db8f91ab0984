/*
 * A port on the host's loopback whose connections come out here, each as one
 * end of a socket.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

/* Not accepted yet; libssh2 refuses more. */
#define SSH_TUNNEL_QUEUE_MAX 16

struct ssh_connection;
struct ssh_tunnel;

struct ssh_tunnel_ops {
	/* port is 0 where the host refuses to forward one. */
	void (*on_open)(void *ctx, uint16_t port);
	/* The receiver owns fd. */
	void (*on_connection)(void *ctx, int fd);
};

/* 0 or -ENOMEM; no callback from within. That the connection broke is not told
 * here. */
int ssh_tunnel_new(struct ssh_tunnel **out, struct ssh_connection *c,
		   const struct ssh_tunnel_ops *ops, void *ctx) MUST_CHECK;
/* No more callbacks; the host is told to listen no longer. NULL is fine. */
void ssh_tunnel_free(struct ssh_tunnel *t);
