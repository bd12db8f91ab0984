/*
 * A unix socket where a gateway listens for its orchestrator: 0600, and who
 * connects has the gateway's uid, or is root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct event_base;
struct gateway_socket;

#define GATEWAY_SOCKET_PREFIX "listen:"

struct gateway_socket_config {
	struct event_base *base;
	const char *address; /* "listen:PATH" */
	bool packets;        /* SOCK_SEQPACKET, else SOCK_STREAM */
	void (*on_connection)(int fd, void *ctx); /* takes fd */
	void *ctx;
};

/* 0, or negative errno with a sentence in err. */
int gateway_socket_new(struct gateway_socket **out,
		       const struct gateway_socket_config *config, char *err,
		       size_t err_size) MUST_CHECK;
/* The socket file goes, too. NULL is fine. */
void gateway_socket_free(struct gateway_socket *s);
