/*
 * Bytes over a connected, non-blocking socket: plain here, TLS in tls.c. TLS
 * registers itself (backend_client_tls_enable), so that a program that speaks
 * to unix sockets only does not link libssl.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

struct transport;

struct transport_ops {
	/* 0 done, -EAGAIN, or negative errno with *why set. */
	int (*handshake)(struct transport *t, const char **why);
	/* Bytes; 0 = end of file; -EAGAIN or negative errno. */
	ssize_t (*read)(struct transport *t, void *data, size_t n);
	ssize_t (*write)(struct transport *t, const void *data, size_t n);
	/* Closes the descriptor. */
	void (*free)(struct transport *t);
};

/* The first member of each kind's own struct. */
struct transport {
	const struct transport_ops *ops;
	int fd;
	bool wants_write; /* after -EAGAIN from handshake or read */
};

/* Both take fd, also on error. */
int transport_plain_new(struct transport **out, int fd) MUST_CHECK;

struct transport_tls {
	/* Parsed trust anchors, made once per client. */
	int (*context_new)(void **out, const char *ca_file);
	void (*context_free)(void *context);
	int (*transport_new)(struct transport **out, void *context, int fd,
			     const char *host);
};

/* NULL until backend_client_tls_enable() was called. */
extern const struct transport_tls *transport_tls;
