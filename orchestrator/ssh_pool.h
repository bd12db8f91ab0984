/*
 * The connections to hosts: one for many jobs, a further one where sshd allows
 * no more sessions on it (MaxSessions), none that nobody has used for a while,
 * and no storm against a host that refuses.
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"

/* What sshd allows by default; it is found out when it allows less. */
#define SSH_POOL_SESSIONS_MAX 10
#define SSH_POOL_CONNECTIONS_MAX 32 /* a host */
/* Of a host that are being made: sshd turns some away at 10 (MaxStartups). */
#define SSH_POOL_CONNECTING_MAX 3
#define SSH_POOL_IDLE_MS 60000
/* Between attempts at a host that refuses: doubles. */
#define SSH_POOL_BACKOFF_MIN_MS 500
#define SSH_POOL_BACKOFF_MAX_MS 20000

struct event_base;
struct ssh_bundle;
struct ssh_connection;
struct ssh_host;
struct ssh_keyring;
struct ssh_pool;

/* A place for one session on a connection. Embedded by value. */
struct ssh_lease {
	TAILQ_ENTRY(ssh_lease) entry;
	const struct ssh_lease_ops *ops;
	void *ctx;
	struct ssh_site *site; /* NULL: not asked for, or over */
	struct ssh_link *link; /* NULL: waits for a connection */
};

struct ssh_lease_ops {
	void (*on_progress)(void *ctx, const char *text);
	void (*on_ready)(void *ctx, struct ssh_connection *c);
	/* There will be no connection, or there is none any more. The lease is
	 * over. */
	void (*on_broken)(void *ctx, const char *reason);
};

/* bundle and keys outlive the pool. */
int ssh_pool_new(struct ssh_pool **out, struct event_base *base,
		 const struct ssh_keyring *keys,
		 const struct ssh_bundle *bundle) MUST_CHECK;
/* Every lease must be over. NULL is fine. */
void ssh_pool_free(struct ssh_pool *pool);

/* ops and ctx are set. host is copied. 0 or -ENOMEM; no callback from
 * within. */
int ssh_pool_acquire(struct ssh_pool *pool, const struct ssh_host *host,
		     struct ssh_lease *lease) MUST_CHECK;
/* The connection allows no further session: another one is looked for, and
 * on_ready is called again, or on_broken. */
void ssh_pool_refused(struct ssh_lease *lease);
/* One that is over is fine. */
void ssh_pool_release(struct ssh_lease *lease);
