#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/ssh_auth.h"
#include "orchestrator/ssh_connection_impl.h"
#include "orchestrator/ssh_host.h"
#include "orchestrator/ssh_install.h"
#include "orchestrator/ssh_transport.h"

static const char *ssh_connection_error(const struct ssh_connection *c)
{
	char *message = NULL;

	libssh2_session_last_error(c->session, &message, NULL, 0);
	return message && *message ? message : "no reason given";
}

/* --- libssh2's view of the transport -------------------------------------- */

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
void ssh_connection_drop_session(struct ssh_connection *c)
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

/* libssh2 1.11.1 deprecates the only call that 1.10 has. */
static void ssh_connection_set_callbacks(LIBSSH2_SESSION *session)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
	libssh2_session_callback_set2(
		session, LIBSSH2_CALLBACK_SEND,
		(libssh2_cb_generic *)ssh_connection_on_send);
	libssh2_session_callback_set2(
		session, LIBSSH2_CALLBACK_RECV,
		(libssh2_cb_generic *)ssh_connection_on_recv);
#else
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND,
				     (void *)ssh_connection_on_send);
	libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV,
				     (void *)ssh_connection_on_recv);
#endif
}

static int ssh_connection_open_session(struct ssh_connection *c)
{
	char prefer[SSH_HOSTKEY_PREFER_BYTES];
	struct ssh_hostkey_store store;

	c->session = libssh2_session_init_ex(NULL, NULL, NULL, c);
	if (!c->session)
		return -ENOMEM;
	libssh2_session_set_blocking(c->session, 0);
	ssh_connection_set_callbacks(c->session);
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

/* --- the transport -------------------------------------------------------- */

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

int ssh_connection_connect(struct ssh_connection *c)
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

/* --- HANDSHAKE ------------------------------------------------------------ */

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

void ssh_connection_step_handshake(struct ssh_connection *c)
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

/* --- AUTHENTICATING, PREPARING -------------------------------------------- */

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

void ssh_connection_step_auth(struct ssh_connection *c)
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
