/*
 * Bytes in and out of one connected, non-blocking socket: in clear
 * (transport.c) or through TLS (tls.c). The server knows this table only, so
 * that a program without TLS does not link libssl.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct transport;

struct transport_ops {
	/* Bytes, 0 at the end of the stream, -EAGAIN, or negative errno. */
	ssize_t (*recv)(struct transport *t, void *data, size_t size);
	/* Bytes, -EAGAIN, or negative errno. Never raises SIGPIPE. */
	ssize_t (*send)(struct transport *t, const void *data, size_t len);
	/* Bytes are off the socket that recv has not handed out yet. */
	bool (*pending)(const struct transport *t);
	/* ALPN chose h2; meaningful once recv has handed out bytes. */
	bool (*is_h2)(const struct transport *t);
	/* Says that nothing more will be sent. */
	void (*shutdown)(struct transport *t);
	/* Closes the descriptor, too. */
	void (*free)(struct transport *t);
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	bool recv_wants_write; /* recv said -EAGAIN for want of room to send */
};

/* Takes fd, on success only. NULL on ENOMEM. */
struct transport *transport_new_plain(int fd);

/* What a listener needs of TLS; embedded first in tls.c's own struct. */
struct http_tls {
	/* Takes fd, on success only. NULL on ENOMEM. */
	struct transport *(*accept)(struct http_tls *tls, int fd);
};
