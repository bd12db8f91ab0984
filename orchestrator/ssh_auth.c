#include "orchestrator/ssh_auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/ssh_agent.h"

enum ssh_auth_phase {
	SSH_AUTH_FILES,
	SSH_AUTH_LISTING, /* the agent is asked what it has */
	SSH_AUTH_AGENT,
	SSH_AUTH_OVER,
};

struct ssh_auth {
	enum ssh_auth_phase phase;
	struct event_base *base;
	const struct ssh_keyring *keys;
	char *user;
	void (*on_wake)(void *ctx);
	void *ctx;
	struct ssh_agent *agent;
	size_t i;           /* file or key at hand */
	bool signing;       /* the agent has the data */
	unsigned int tries; /* keys that the host has seen */
	unsigned int agent_tries;
	char tried[SSH_AUTH_REASON_BYTES];
};

int ssh_auth_new(struct ssh_auth **out, struct event_base *base,
		 const struct ssh_keyring *keys, const char *user,
		 void (*on_wake)(void *ctx), void *ctx)
{
	struct ssh_auth *a = calloc(1, sizeof(*a));

	*out = NULL;
	if (!a)
		return -ENOMEM;
	a->user = strdup(user);
	if (!a->user) {
		free(a);
		return -ENOMEM;
	}
	a->base = base;
	a->keys = keys;
	a->on_wake = on_wake;
	a->ctx = ctx;
	*out = a;
	return 0;
}

void ssh_auth_free(struct ssh_auth *a)
{
	if (!a)
		return;
	ssh_agent_free(a->agent);
	free(a->user);
	free(a);
}

static void ssh_auth_note(struct ssh_auth *a, const char *what, const char *why)
{
	size_t n = strlen(a->tried);

	snprintf(a->tried + n, sizeof(a->tried) - n, "%s%s%s", n ? ", " : "",
		 what, why);
}

/* The connection itself is at an end, so no other key can help. */
static bool ssh_auth_is_fatal(int r)
{
	return r == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
	       r == LIBSSH2_ERROR_SOCKET_RECV ||
	       r == LIBSSH2_ERROR_SOCKET_SEND || r == LIBSSH2_ERROR_ALLOC ||
	       r == LIBSSH2_ERROR_PROTO;
}

/* --- files ---------------------------------------------------------------- */

static int ssh_auth_step_file(struct ssh_auth *a, LIBSSH2_SESSION *session)
{
	const char *path = a->keys->files[a->i];
	int r;

	if (access(path, R_OK) < 0) {
		if (errno != ENOENT)
			ssh_auth_note(a, path, " (not readable)");
		a->i++;
		return -EACCES;
	}
	/* "" and not NULL: a key with a passphrase fails, nobody is asked. */
	r = libssh2_userauth_publickey_fromfile_ex(session, a->user,
						   (unsigned)strlen(a->user),
						   NULL, path, "");
	if (r == LIBSSH2_ERROR_EAGAIN || !r)
		return r;
	if (r == LIBSSH2_ERROR_FILE) {
		ssh_auth_note(a, path,
			      " (not a key that can be read without a "
			      "passphrase)");
	} else {
		ssh_auth_note(a, path, "");
		a->tries++;
	}
	a->i++;
	return ssh_auth_is_fatal(r) ? r : -EACCES;
}

/* --- the agent ------------------------------------------------------------ */

/* abstract: the auth. Called again and again until the agent has signed. */
static int ssh_auth_on_sign(LIBSSH2_SESSION *session, unsigned char **sig,
			    size_t *sig_len, const unsigned char *data,
			    size_t data_len, void **abstract)
{
	struct ssh_auth *a = *abstract;
	const struct ssh_agent_key *keys;

	if (ssh_agent_state(a->agent) == SSH_AGENT_BUSY)
		return LIBSSH2_ERROR_EAGAIN;
	if (ssh_agent_state(a->agent) == SSH_AGENT_FAILED)
		return LIBSSH2_ERROR_AGENT_PROTOCOL;
	if (!a->signing) {
		ssh_agent_keys(a->agent, &keys);
		if (ssh_agent_sign(a->agent, &keys[a->i], data, data_len) < 0)
			return LIBSSH2_ERROR_ALLOC;
		a->signing = true;
		return LIBSSH2_ERROR_EAGAIN;
	}
	a->signing = false;
	*sig = ssh_agent_take_signature(a->agent, sig_len);
	return *sig ? 0 : LIBSSH2_ERROR_AGENT_PROTOCOL;
}

static int ssh_auth_step_agent(struct ssh_auth *a, LIBSSH2_SESSION *session)
{
	const struct ssh_agent_key *keys;
	void *self = a;
	int r;

	ssh_agent_keys(a->agent, &keys);
	r = libssh2_userauth_publickey(session, a->user, keys[a->i].blob,
				       keys[a->i].len, ssh_auth_on_sign, &self);
	if (r == LIBSSH2_ERROR_EAGAIN || !r)
		return r;
	a->signing = false;
	a->tries++;
	a->agent_tries++;
	a->i++;
	return ssh_auth_is_fatal(r) ? r : -EACCES;
}

static void ssh_auth_ask_agent(struct ssh_auth *a)
{
	a->phase = SSH_AUTH_LISTING;
	a->i = 0;
	if (!a->keys->agent) {
		a->phase = SSH_AUTH_OVER;
	} else if (ssh_agent_new(&a->agent, a->base, a->keys->agent, a->on_wake,
				 a->ctx) < 0) {
		ssh_auth_note(a, "the agent (does not answer)", "");
		a->phase = SSH_AUTH_OVER;
	}
}

static int ssh_auth_step_listing(struct ssh_auth *a)
{
	switch (ssh_agent_state(a->agent)) {
	case SSH_AGENT_BUSY:
		return LIBSSH2_ERROR_EAGAIN;
	case SSH_AGENT_IDLE:
		a->phase = SSH_AUTH_AGENT;
		return -EACCES;
	case SSH_AGENT_FAILED:
		break;
	}
	ssh_auth_note(a, "the agent (does not answer)", "");
	a->phase = SSH_AUTH_OVER;
	return -EACCES;
}

/* -EACCES: on with the next one. */
static int ssh_auth_step_once(struct ssh_auth *a, LIBSSH2_SESSION *session)
{
	const struct ssh_agent_key *keys;

	switch (a->phase) {
	case SSH_AUTH_FILES:
		if (a->i < a->keys->n_files)
			return ssh_auth_step_file(a, session);
		ssh_auth_ask_agent(a);
		break;
	case SSH_AUTH_LISTING:
		return ssh_auth_step_listing(a);
	case SSH_AUTH_AGENT:
		if (a->i < ssh_agent_keys(a->agent, &keys))
			return ssh_auth_step_agent(a, session);
		a->phase = SSH_AUTH_OVER;
		break;
	case SSH_AUTH_OVER:
		break;
	}
	return -EACCES;
}

int ssh_auth_step(struct ssh_auth *a, LIBSSH2_SESSION *session)
{
	int r = -EACCES;

	while (r == -EACCES && a->phase != SSH_AUTH_OVER &&
	       a->tries < SSH_AUTH_TRIES_MAX)
		r = ssh_auth_step_once(a, session);
	return r;
}

void ssh_auth_tried(const struct ssh_auth *a, char *out, size_t size)
{
	char agent[48] = "";

	if (a->agent_tries)
		snprintf(agent, sizeof(agent), "%s%u of the agent's keys",
			 *a->tried ? ", " : "", a->agent_tries);
	snprintf(out, size, "%s%s", a->tried, agent);
}
