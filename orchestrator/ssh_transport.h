/*
 * The TCP connection under an SSH session. Bytes wait in buffers of our own on
 * both sides, so that libssh2 never sees half a packet sent: what it gives us
 * is taken whole, and its EAGAIN means one thing only, that the host has not
 * answered yet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define SSH_TRANSPORT_REASON_BYTES 256
/* Channels give no more while this much has not gone out. */
#define SSH_TRANSPORT_BACKLOG_BYTES (256 * 1024)
#define SSH_TRANSPORT_INPUT_BYTES (256 * 1024)
/* Of an address that does not answer while there is another one. */
#define SSH_TRANSPORT_NEXT_MS 4000
/* A peer that is gone is noticed by the kernel: probes begin after
 * IDLE, one each INTERVAL, and nothing may stay unanswered for DEAD. */
#define SSH_TRANSPORT_IDLE_S 4
#define SSH_TRANSPORT_INTERVAL_S 2
#define SSH_TRANSPORT_DEAD_MS 9000

struct event_base;
struct ssh_transport;

struct ssh_transport_ops {
	void (*on_connected)(void *ctx);
	/* Something came, or went. */
	void (*on_activity)(void *ctx);
	/* Once; what came before can still be received. */
	void (*on_closed)(void *ctx, const char *reason);
};

/* 0 or negative errno; no callback from within. */
int ssh_transport_new(struct ssh_transport **out, struct event_base *base,
		      const char *host, uint16_t port,
		      const struct ssh_transport_ops *ops,
		      void *ctx) MUST_CHECK;
/* What waits is offered to the kernel once more. NULL is fine; not from its
 * callbacks. */
void ssh_transport_free(struct ssh_transport *t);

int ssh_transport_fd(const struct ssh_transport *t);
/* As send(2) and recv(2), with negative errno. */
ssize_t ssh_transport_send(struct ssh_transport *t, const void *data,
			   size_t len);
ssize_t ssh_transport_recv(struct ssh_transport *t, void *data, size_t len);
/* Bytes that the kernel has not taken, and that have come and wait. */
size_t ssh_transport_backlog(const struct ssh_transport *t);
size_t ssh_transport_waiting(const struct ssh_transport *t);
