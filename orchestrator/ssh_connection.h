/*
 * One SSH connection to a host, from the name to a place where runners can be
 * started, without ever holding up the loop.
 *
 *   CLOSED ─▶ CONNECTING ─▶ HANDSHAKE ─▶ AUTHENTICATING ─▶ PREPARING ─▶ READY
 *      ▲───────────────────────┘ (another algorithm of the host's key)    │
 *   BROKEN ◀──────────────────(from each of them)─────────────────────────┘
 *
 * CLOSED          nothing is there
 * CONNECTING      the name is looked up, TCP connects
 * HANDSHAKE       keys are exchanged; the host's own is judged
 * AUTHENTICATING  with our keys, one after the other
 * PREPARING       runner and SDKs are looked at, and uploaded (ssh_install.h)
 * READY           channels may be opened
 * BROKEN          told; everything on it was told, too
 *
 * Of libssh2: a call that has said EAGAIN is repeated before any other of its
 * kind, which is what tasks are for; and any call may read what belongs to
 * another channel, so that after each turn all streams are looked at.
 */
#pragma once

#include <libssh2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"

#define SSH_CONNECTION_REASON_BYTES 768
#define SSH_CONNECTION_CONNECT_MS 10000
#define SSH_CONNECTION_HANDSHAKE_MS 10000
#define SSH_CONNECTION_AUTH_MS 20000
/* A task that the host does not answer. */
#define SSH_CONNECTION_ANSWER_MS 10000
/* Silence after which it is asked for a sign of life, and its end. */
#define SSH_CONNECTION_PING_MS 4000
#define SSH_CONNECTION_DEAD_MS 12000

struct event_base;
struct ssh_bundle;
struct ssh_connection;
struct ssh_host;
struct ssh_install;
struct ssh_keyring;

struct ssh_connection_config {
	struct event_base *base;
	const struct ssh_host *host; /* outlives the connection, as all here */
	const struct ssh_keyring *keys;
	const struct ssh_bundle *bundle;
};

struct ssh_connection_ops {
	/* Something worth showing while waiting. */
	void (*on_progress)(void *ctx, const char *text);
	void (*on_ready)(void *ctx);
	/* Once. Not to be freed in here. */
	void (*on_broken)(void *ctx, const char *reason);
};

/* 0 or -ENOMEM; no callback from within. */
int ssh_connection_new(struct ssh_connection **out,
		       const struct ssh_connection_config *config,
		       const struct ssh_connection_ops *ops,
		       void *ctx) MUST_CHECK;
/* Without a callback; what is on it must be gone, or is told that it broke.
 * NULL is fine; not from its callbacks. */
void ssh_connection_free(struct ssh_connection *c);

bool ssh_connection_is_ready(const struct ssh_connection *c);
bool ssh_connection_is_broken(const struct ssh_connection *c);
const struct ssh_host *ssh_connection_host(const struct ssh_connection *c);
struct event_base *ssh_connection_base(const struct ssh_connection *c);
/* What was found and made on the host; once READY. */
const struct ssh_install *ssh_connection_install(
	const struct ssh_connection *c);

/* --- for what runs over it ------------------------------------------------ */

/*
 * A call of libssh2's that takes several steps. One at a time, in order.
 * done: once, with what step returned in the end, or
 * LIBSSH2_ERROR_SOCKET_DISCONNECT. Embedded by value.
 */
struct ssh_task {
	TAILQ_ENTRY(ssh_task) entry;
	int (*step)(struct ssh_task *t, LIBSSH2_SESSION *session);
	void (*done)(struct ssh_task *t, int r);
	uint64_t since_ms; /* at the head */
};

/* What moves bytes over the connection. Embedded by value; freed by the
 * connection once gone() says so, never inside a callback. */
struct ssh_stream {
	TAILQ_ENTRY(ssh_stream) entry;
	const struct ssh_stream_ops *ops;
};

struct ssh_stream_ops {
	void (*pump)(struct ssh_stream *s);
	/* libssh2's objects are about to vanish; r and why for a sentence. */
	void (*broken)(struct ssh_stream *s, const char *reason);
	bool (*gone)(const struct ssh_stream *s);
	void (*free)(struct ssh_stream *s);
	/* Makes the host answer something: 0 or an error of libssh2's. NULL,
	 * or LIBSSH2_ERROR_BAD_USE: cannot. */
	int (*ping)(struct ssh_stream *s);
};

void ssh_connection_queue(struct ssh_connection *c, struct ssh_task *task);
void ssh_connection_attach(struct ssh_connection *c, struct ssh_stream *s);
/* Everything is looked at once more, at the end of the loop turn. */
void ssh_connection_wake(struct ssh_connection *c);
/* Bytes that may still be written without piling up. */
size_t ssh_connection_room(const struct ssh_connection *c);
LIBSSH2_SESSION *ssh_connection_session(const struct ssh_connection *c);
