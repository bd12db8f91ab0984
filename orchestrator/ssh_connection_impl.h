/*
 * Shared by the files of the connection: ssh_connection.c (states, tasks,
 * streams, life) and ssh_connection_setup.c (all that comes before READY).
 * Nobody else includes it.
 */
#pragma once

#include "orchestrator/ssh_connection.h"
#include "orchestrator/ssh_hostkey.h"

struct event;
struct ssh_auth;
struct ssh_transport;

enum ssh_connection_state {
	SSH_CLOSED,
	SSH_CONNECTING,
	SSH_HANDSHAKE,
	SSH_AUTHENTICATING,
	SSH_PREPARING,
	SSH_READY,
	SSH_BROKEN,
};

TAILQ_HEAD(ssh_tasks, ssh_task);
TAILQ_HEAD(ssh_streams, ssh_stream);

struct ssh_connection {
	enum ssh_connection_state state;
	struct ssh_connection_config config;
	const struct ssh_connection_ops *ops;
	void *ctx;
	struct event *turn, *tick;
	struct ssh_transport *transport;
	LIBSSH2_SESSION *session;
	struct ssh_auth *auth;
	struct ssh_install *install;
	struct ssh_tasks tasks;
	struct ssh_streams streams;
	uint64_t deadline_ms;    /* of the state; 0: none */
	uint64_t heard_ms;       /* when the host last gave a sign of life */
	size_t backlog;          /* at the last tick */
	struct ssh_stream *ping; /* whose answer is waited for */
	bool got;                /* bytes came in this round */
	/* Another algorithm is tried where the pinned key is not the one that
	 * was shown: 0 is the first handshake, i the (i - 1)-th algorithm. */
	size_t algorithm;
	struct ssh_hostkey_finding finding; /* of the first handshake */
	bool closed;                        /* by the host, or the network */
	bool failing;
	char reason[SSH_CONNECTION_REASON_BYTES];
};

/* Asserts that the move is legal; the new state's deadline begins. */
void ssh_connection_set_state(struct ssh_connection *c,
			      enum ssh_connection_state state);
/* Takes effect at the end of the turn; the first reason counts. */
void ssh_connection_fail(struct ssh_connection *c, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/* CLOSED to CONNECTING. 0 or -ENOMEM. */
int ssh_connection_connect(struct ssh_connection *c) MUST_CHECK;
void ssh_connection_step_handshake(struct ssh_connection *c);
void ssh_connection_step_auth(struct ssh_connection *c);
/* Session and transport, if there are any. */
void ssh_connection_drop_session(struct ssh_connection *c);
