#include "orchestrator/ssh_connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/ssh_auth.h"
#include "orchestrator/ssh_host.h"
#include "orchestrator/ssh_hostkey.h"
#include "orchestrator/ssh_install.h"
#include "orchestrator/ssh_transport.h"

#define SSH_CONNECTION_TICK_MS 1000
/* Then other things in the loop have their turn. */
#define SSH_CONNECTION_ROUNDS_MAX 16

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

static void ssh_connection_set_state(struct ssh_connection *c,
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

/* Takes effect at the end of the turn; the first reason counts. */
static void PRINTF_LIKE(2, 3)
	ssh_connection_fail(struct ssh_connection *c, const char *fmt, ...)
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

static const char *ssh_connection_error(const struct ssh_connection *c)
{
	char *message = NULL;

	libssh2_session_last_error(c->session, &message, NULL, 0);
	return message && *message ? message : "no reason given";
}

/* --- libssh2's view of the transport --------------------------------------- */

static LIBSSH2_SEND_FUNC(ssh_connection_on_send)
{
	struct ssh_connection *c = *abstract;

	return c->transport ? ssh_transport_send(c->transport, buffer, length)
			    : -EPIPE;
}

static LIBSSH2_RECV_FUNC(ssh_connection_on_recv)
{
	struct ssh_connection *c = *abstract;
	ssize_t n = c->transport
			    ? ssh_transport_recv(c->transport, buffer, length)
			    : -ECONNRESET;

	if (n > 0) {
		c->got = true;
		c->heard_ms = clock_mono_ms();
	}
	return n;
}

/* Without a transport no call can wait for anything. */
static void ssh_connection_drop_session(struct ssh_connection *c)
{
	ssh_transport_free(c->transport);
	c->transport = NULL;
	if (c->session && libssh2_session_free(c->session) != 0)
		log_warn(c->config.host->name, "ssh: a session is left over");
	c->session = NULL;
}

static void ssh_connection_store(const struct ssh_connection *c,
				 struct ssh_hostkey_store *out)
{
	*out = (struct ssh_hostkey_store){
		.pinned = c->config.host->host_key,
		.known = c->config.keys->known,
		.address = c->config.host->address,
		.port = c->config.host->port,
	};
}

static int ssh_connection_open_session(struct ssh_connection *c)
{
	char prefer[SSH_HOSTKEY_PREFER_BYTES];
	struct ssh_hostkey_store store;

	c->session = libssh2_session_init_ex(NULL, NULL, NULL, c);
	if (!c->session)
		return -ENOMEM;
	libssh2_session_set_blocking(c->session, 0);
	libssh2_session_callback_set(c->session, LIBSSH2_CALLBACK_SEND,
				     (void *)ssh_connection_on_send);
	libssh2_session_callback_set(c->session, LIBSSH2_CALLBACK_RECV,
				     (void *)ssh_connection_on_recv);
	ssh_connection_store(c, &store);
	if (c->algorithm)
		snprintf(prefer, sizeof(prefer), "%s",
			 ssh_hostkey_algorithm(c->algorithm - 1));
	else
		ssh_hostkey_prefer(&store, prefer);
	(void)libssh2_session_method_pref(c->session, LIBSSH2_METHOD_HOSTKEY,
					  prefer);
	return 0;
}

/* --- the transport --------------------------------------------------------- */

static void ssh_connection_on_connected(void *ctx)
{
	struct ssh_connection *c = ctx;

	if (c->state != SSH_CONNECTING)
		return;
	c->heard_ms = clock_mono_ms();
	ssh_connection_set_state(c, SSH_HANDSHAKE);
	if (ssh_connection_open_session(c) < 0)
		ssh_connection_fail(c, "out of memory");
	ssh_connection_wake(c);
}

static void ssh_connection_on_activity(void *ctx)
{
	ssh_connection_wake(ctx);
}

static void ssh_connection_on_closed(void *ctx, const char *reason)
{
	struct ssh_connection *c = ctx;
	const struct ssh_host *h = c->config.host;

	c->closed = true;
	if (c->state == SSH_CONNECTING)
		ssh_connection_fail(
			c,
			"host %s (%s port %u) cannot be reached: %s; check "
			"its address and that sshd runs there",
			h->name, h->address, h->port, reason);
	else if (c->state != SSH_READY && c->state != SSH_PREPARING)
		ssh_connection_fail(c,
				    "host %s ended the connection while it "
				    "was set up: %s; its sshd's log says why",
				    h->name, reason);
	else
		ssh_connection_fail(c, "the connection to host %s was lost: %s",
				    h->name, reason);
}

static int ssh_connection_connect(struct ssh_connection *c)
{
	static const struct ssh_transport_ops ops = {
		.on_connected = ssh_connection_on_connected,
		.on_activity = ssh_connection_on_activity,
		.on_closed = ssh_connection_on_closed,
	};
	const struct ssh_host *h = c->config.host;

	ssh_connection_set_state(c, SSH_CONNECTING);
	return ssh_transport_new(&c->transport, c->config.base, h->address,
				 h->port, &ops, c);
}

/* --- HANDSHAKE ------------------------------------------------------------- */

/* The pinned key may be of another algorithm than the one shown: the host is
 * asked for that. False when there is no other one. */
static bool ssh_connection_try_algorithm(struct ssh_connection *c)
{
	const char *name;

	if (!c->config.host->host_key)
		return false;
	while ((name = ssh_hostkey_algorithm(c->algorithm++)))
		if (strcmp(name, c->finding.algorithm) != 0)
			break;
	if (!name)
		return false;
	ssh_connection_drop_session(c);
	ssh_connection_set_state(c, SSH_CLOSED);
	if (ssh_connection_connect(c) < 0)
		ssh_connection_fail(c, "out of memory");
	return true;
}

static void ssh_connection_refuse_key(struct ssh_connection *c)
{
	const struct ssh_hostkey_finding *f = &c->finding;
	const char *name = c->config.host->name;

	switch (f->verdict) {
	case SSH_HOSTKEY_GOOD:
		break;
	case SSH_HOSTKEY_UNKNOWN:
		ssh_connection_fail(c,
				    "the key of host %s (%s %s) is not known; "
				    "if it is right: cronium hosts accept %s "
				    "%s",
				    name, f->algorithm, f->seen, name, f->seen);
		break;
	case SSH_HOSTKEY_CHANGED:
		ssh_connection_fail(
			c,
			"the key of host %s HAS CHANGED: %s was expected, it "
			"shows %s %s. Somebody may stand between, or the host "
			"was set up anew: ask who runs it. Only if the new one "
			"is right: cronium hosts accept %s %s",
			name, f->expected, f->algorithm, f->seen, name,
			f->seen);
		break;
	case SSH_HOSTKEY_REVOKED:
		ssh_connection_fail(c,
				    "the key of host %s (%s %s) is marked as "
				    "revoked in the known hosts",
				    name, f->algorithm, f->seen);
		break;
	}
}

static void ssh_connection_judge_key(struct ssh_connection *c)
{
	struct ssh_hostkey_finding finding;
	struct ssh_hostkey_store store;
	const char *key;
	size_t len = 0;
	int type;

	key = libssh2_session_hostkey(c->session, &len, &type);
	ssh_connection_store(c, &store);
	ssh_hostkey_judge(&store, key ? key : "", len, &finding);
	if (!c->algorithm)
		c->finding = finding;
	if (finding.verdict == SSH_HOSTKEY_GOOD) {
		ssh_connection_set_state(c, SSH_AUTHENTICATING);
		if (ssh_auth_new(&c->auth, c->config.base, c->config.keys,
				 c->config.host->user,
				 ssh_connection_on_activity, c) < 0)
			ssh_connection_fail(c, "out of memory");
	} else if (finding.verdict != SSH_HOSTKEY_CHANGED ||
		   !ssh_connection_try_algorithm(c)) {
		ssh_connection_refuse_key(c);
	}
}

static void ssh_connection_step_handshake(struct ssh_connection *c)
{
	int r = libssh2_session_handshake(c->session,
					  ssh_transport_fd(c->transport));

	if (r == LIBSSH2_ERROR_EAGAIN)
		return;
	if (!r)
		ssh_connection_judge_key(c);
	else if (!c->algorithm)
		ssh_connection_fail(c,
				    "the SSH handshake with host %s failed: %s",
				    c->config.host->name,
				    ssh_connection_error(c));
	else if (!ssh_connection_try_algorithm(c))
		ssh_connection_refuse_key(c);
}

/* --- AUTHENTICATING, PREPARING --------------------------------------------- */

static void ssh_connection_on_progress(void *ctx, const char *text)
{
	struct ssh_connection *c = ctx;

	c->ops->on_progress(c->ctx, text);
}

static void ssh_connection_on_installed(void *ctx, const char *error)
{
	struct ssh_connection *c = ctx;

	if (c->state != SSH_PREPARING || c->failing)
		return;
	if (error) {
		ssh_connection_fail(c, "%s", error);
		return;
	}
	ssh_connection_set_state(c, SSH_READY);
	c->ops->on_ready(c->ctx);
}

static void ssh_connection_prepare(struct ssh_connection *c)
{
	static const struct ssh_install_ops ops = {
		.on_progress = ssh_connection_on_progress,
		.on_done = ssh_connection_on_installed,
	};

	ssh_connection_set_state(c, SSH_PREPARING);
	if (ssh_install_new(&c->install, c, c->config.bundle, &ops, c) < 0)
		ssh_connection_fail(c, "out of memory");
}

static void ssh_connection_refuse_auth(struct ssh_connection *c, int r)
{
	const struct ssh_host *h = c->config.host;
	char tried[SSH_AUTH_REASON_BYTES];

	ssh_auth_tried(c->auth, tried, sizeof(tried));
	if (r != -EACCES)
		ssh_connection_fail(c, "cannot log in to %s on host %s: %s",
				    h->user, h->name, ssh_connection_error(c));
	else if (*tried)
		ssh_connection_fail(
			c,
			"host %s accepts none of our keys for user %s (%s): "
			"put a public key into its ~/.ssh/authorized_keys, or "
			"give the orchestrator another one with --ssh-key",
			h->name, h->user, tried);
	else
		ssh_connection_fail(c,
				    "there is no key to log in to host %s "
				    "with: give the orchestrator one with "
				    "--ssh-key, or an agent",
				    h->name);
}

static void ssh_connection_step_auth(struct ssh_connection *c)
{
	int r = ssh_auth_step(c->auth, c->session);

	if (r == LIBSSH2_ERROR_EAGAIN)
		return;
	if (r < 0) {
		ssh_connection_refuse_auth(c, r);
		return;
	}
	ssh_auth_free(c->auth);
	c->auth = NULL;
	ssh_connection_prepare(c);
}

/* --- tasks and streams ------------------------------------------------------ */

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

/* --- the end ---------------------------------------------------------------- */

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

/* --- life ------------------------------------------------------------------- */

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
