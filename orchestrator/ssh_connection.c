#include "orchestrator/ssh_connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/ssh_auth.h"
#include "orchestrator/ssh_connection_impl.h"
#include "orchestrator/ssh_host.h"
#include "orchestrator/ssh_install.h"
#include "orchestrator/ssh_transport.h"

#define SSH_CONNECTION_TICK_MS 1000
/* Then other things in the loop have their turn. */
#define SSH_CONNECTION_ROUNDS_MAX 16

/* --- states --------------------------------------------------------------- */

#define SSH_MAY(state) (1u << (state))

static const struct {
	const char *name;
	unsigned int next;
	uint64_t deadline_ms;
} ssh_connection_states[] = {
	[SSH_CLOSED] = { "CLOSED",
			 SSH_MAY(SSH_CONNECTING) | SSH_MAY(SSH_BROKEN), 0 },
	[SSH_CONNECTING] = { "CONNECTING",
			     SSH_MAY(SSH_HANDSHAKE) | SSH_MAY(SSH_BROKEN),
			     SSH_CONNECTION_CONNECT_MS },
	[SSH_HANDSHAKE] = { "HANDSHAKE",
			    SSH_MAY(SSH_AUTHENTICATING) | SSH_MAY(SSH_CLOSED) |
				    SSH_MAY(SSH_BROKEN),
			    SSH_CONNECTION_HANDSHAKE_MS },
	[SSH_AUTHENTICATING] = { "AUTHENTICATING",
				 SSH_MAY(SSH_PREPARING) | SSH_MAY(SSH_BROKEN),
				 SSH_CONNECTION_AUTH_MS },
	[SSH_PREPARING] = { "PREPARING",
			    SSH_MAY(SSH_READY) | SSH_MAY(SSH_BROKEN), 0 },
	[SSH_READY] = { "READY", SSH_MAY(SSH_BROKEN), 0 },
	[SSH_BROKEN] = { "BROKEN", 0, 0 },
};

void ssh_connection_set_state(struct ssh_connection *c,
			      enum ssh_connection_state state)
{
	uint64_t ms = ssh_connection_states[state].deadline_ms;

	assert(ssh_connection_states[c->state].next & SSH_MAY(state));
	log_debug(c->config.host->name, "ssh: %s -> %s",
		  ssh_connection_states[c->state].name,
		  ssh_connection_states[state].name);
	c->state = state;
	c->deadline_ms = ms ? clock_mono_ms() + ms : 0;
}

void ssh_connection_fail(struct ssh_connection *c, const char *fmt, ...)
{
	va_list args;

	if (c->failing || c->state == SSH_BROKEN)
		return;
	va_start(args, fmt);
	vsnprintf(c->reason, sizeof(c->reason), fmt, args);
	va_end(args);
	c->failing = true;
	ssh_connection_wake(c);
}

/* --- tasks and streams ---------------------------------------------------- */

static void ssh_connection_step_tasks(struct ssh_connection *c)
{
	struct ssh_task *t;

	while ((t = TAILQ_FIRST(&c->tasks))) {
		int r;

		if (!t->since_ms)
			t->since_ms = clock_mono_ms();
		r = t->step(t, c->session);
		if (r == LIBSSH2_ERROR_EAGAIN)
			return;
		TAILQ_REMOVE(&c->tasks, t, entry);
		t->done(t, r);
	}
}

static void ssh_connection_step_ping(struct ssh_connection *c)
{
	if (c->ping && c->ping->ops->ping(c->ping) != LIBSSH2_ERROR_EAGAIN)
		c->ping = NULL;
}

static void ssh_connection_step(struct ssh_connection *c)
{
	struct ssh_stream *s;

	if (c->failing && c->state < SSH_PREPARING)
		return;
	switch (c->state) {
	case SSH_HANDSHAKE:
		ssh_connection_step_handshake(c);
		break;
	case SSH_AUTHENTICATING:
		ssh_connection_step_auth(c);
		break;
	case SSH_PREPARING:
	case SSH_READY:
		ssh_connection_step_tasks(c);
		ssh_connection_step_ping(c);
		TAILQ_FOREACH(s, &c->streams, entry)
			s->ops->pump(s);
		break;
	default:
		break;
	}
}

static void ssh_connection_reap(struct ssh_connection *c)
{
	struct ssh_stream *s, *next;

	for (s = TAILQ_FIRST(&c->streams); s; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (!s->ops->gone(s))
			continue;
		TAILQ_REMOVE(&c->streams, s, entry);
		if (c->ping == s)
			c->ping = NULL;
		s->ops->free(s);
	}
}

/* --- the end -------------------------------------------------------------- */

/* All that is on the connection is told, then libssh2 forgets it. */
static void ssh_connection_tear_down(struct ssh_connection *c)
{
	struct ssh_stream *s;
	struct ssh_task *t;

	while ((t = TAILQ_FIRST(&c->tasks))) {
		TAILQ_REMOVE(&c->tasks, t, entry);
		t->done(t, LIBSSH2_ERROR_SOCKET_DISCONNECT);
	}
	TAILQ_FOREACH(s, &c->streams, entry)
		s->ops->broken(s, c->reason);
	c->ping = NULL;
	ssh_auth_free(c->auth);
	c->auth = NULL;
	if (c->session)
		(void)libssh2_session_disconnect(c->session, "bye");
	ssh_connection_drop_session(c);
}

static void ssh_connection_break(struct ssh_connection *c)
{
	c->failing = false;
	ssh_connection_set_state(c, SSH_BROKEN);
	ssh_connection_tear_down(c);
	ssh_connection_reap(c);
	c->ops->on_broken(c->ctx, c->reason);
}

static void ssh_connection_on_turn(int fd, short what, void *ctx)
{
	struct ssh_connection *c = ctx;
	unsigned int rounds = 0;

	do {
		c->got = false;
		ssh_connection_step(c);
	} while (c->got && ++rounds < SSH_CONNECTION_ROUNDS_MAX);
	ssh_connection_reap(c);
	/* What was said before the end still counts. */
	if (c->got && (c->closed || !c->failing))
		ssh_connection_wake(c);
	else if (c->failing)
		ssh_connection_break(c);
}

static void ssh_connection_check_alive(struct ssh_connection *c, uint64_t now)
{
	size_t backlog = ssh_transport_backlog(c->transport);
	struct ssh_stream *s;

	if (backlog < c->backlog || ssh_transport_waiting(c->transport))
		c->heard_ms = now;
	c->backlog = backlog;
	if (now - c->heard_ms < SSH_CONNECTION_PING_MS)
		return;
	if (c->ping && now - c->heard_ms > SSH_CONNECTION_DEAD_MS) {
		ssh_connection_fail(c,
				    "the connection to host %s was lost: it "
				    "does not answer any more",
				    c->config.host->name);
		return;
	}
	TAILQ_FOREACH(s, &c->streams, entry) {
		if (c->ping)
			break;
		if (s->ops->ping && s->ops->ping(s) == LIBSSH2_ERROR_EAGAIN)
			c->ping = s;
	}
}

static void ssh_connection_check_deadline(struct ssh_connection *c,
					  uint64_t now)
{
	const struct ssh_task *t = TAILQ_FIRST(&c->tasks);
	const struct ssh_host *h = c->config.host;

	if (t && t->since_ms && now - t->since_ms > SSH_CONNECTION_ANSWER_MS)
		ssh_connection_fail(c,
				    "the connection to host %s was lost: it "
				    "does not answer",
				    h->name);
	if (!c->deadline_ms || now < c->deadline_ms)
		return;
	if (c->state == SSH_CONNECTING)
		ssh_connection_fail(c,
				    "host %s (%s port %u) cannot be reached: "
				    "no answer within %d s",
				    h->name, h->address, h->port,
				    SSH_CONNECTION_CONNECT_MS / 1000);
	else
		ssh_connection_fail(c,
				    "host %s (%s port %u) does not finish to "
				    "set up a connection (%s)",
				    h->name, h->address, h->port,
				    c->state == SSH_HANDSHAKE ? "handshake"
							      : "login");
}

static void ssh_connection_on_tick(int fd, short what, void *ctx)
{
	struct ssh_connection *c = ctx;
	uint64_t now = clock_mono_ms();

	if (c->state == SSH_BROKEN)
		return;
	ssh_connection_check_deadline(c, now);
	if (c->state == SSH_READY || c->state == SSH_PREPARING)
		ssh_connection_check_alive(c, now);
}

/* --- life ----------------------------------------------------------------- */

int ssh_connection_new(struct ssh_connection **out,
		       const struct ssh_connection_config *config,
		       const struct ssh_connection_ops *ops, void *ctx)
{
	const struct timeval tick = clock_timeval(SSH_CONNECTION_TICK_MS);
	struct ssh_connection *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->config = *config;
	c->ops = ops;
	c->ctx = ctx;
	TAILQ_INIT(&c->tasks);
	TAILQ_INIT(&c->streams);
	c->turn = event_new(config->base, -1, 0, ssh_connection_on_turn, c);
	c->tick = event_new(config->base, -1, EV_PERSIST,
			    ssh_connection_on_tick, c);
	if (!c->turn || !c->tick || event_add(c->tick, &tick) < 0 ||
	    ssh_connection_connect(c) < 0) {
		ssh_connection_free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void ssh_connection_free(struct ssh_connection *c)
{
	struct ssh_stream *s;

	if (!c)
		return;
	if (c->state != SSH_BROKEN) {
		snprintf(c->reason, sizeof(c->reason),
			 "the connection was closed");
		c->state = SSH_BROKEN;
		ssh_connection_tear_down(c);
	}
	ssh_install_free(c->install);
	while ((s = TAILQ_FIRST(&c->streams))) {
		TAILQ_REMOVE(&c->streams, s, entry);
		s->ops->free(s);
	}
	if (c->turn)
		event_free(c->turn);
	if (c->tick)
		event_free(c->tick);
	free(c);
}

bool ssh_connection_is_ready(const struct ssh_connection *c)
{
	return c->state == SSH_READY && !c->failing;
}

bool ssh_connection_is_broken(const struct ssh_connection *c)
{
	return c->state == SSH_BROKEN || c->failing;
}

const struct ssh_host *ssh_connection_host(const struct ssh_connection *c)
{
	return c->config.host;
}

struct event_base *ssh_connection_base(const struct ssh_connection *c)
{
	return c->config.base;
}

const struct ssh_install *ssh_connection_install(const struct ssh_connection *c)
{
	return c->install;
}

void ssh_connection_queue(struct ssh_connection *c, struct ssh_task *task)
{
	task->since_ms = 0;
	TAILQ_INSERT_TAIL(&c->tasks, task, entry);
	ssh_connection_wake(c);
}

void ssh_connection_attach(struct ssh_connection *c, struct ssh_stream *s)
{
	TAILQ_INSERT_TAIL(&c->streams, s, entry);
}

void ssh_connection_wake(struct ssh_connection *c)
{
	event_active(c->turn, EV_TIMEOUT, 0);
}

size_t ssh_connection_room(const struct ssh_connection *c)
{
	size_t backlog = c->transport ? ssh_transport_backlog(c->transport) : 0;

	return backlog < SSH_TRANSPORT_BACKLOG_BYTES
		       ? SSH_TRANSPORT_BACKLOG_BYTES - backlog
		       : 0;
}

LIBSSH2_SESSION *ssh_connection_session(const struct ssh_connection *c)
{
	return c->session;
}
