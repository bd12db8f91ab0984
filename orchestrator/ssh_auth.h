/*
 * Logging in with a public key: the key files, then those of the agent. A key
 * with a passphrase is passed over (the agent is for those), and nothing is
 * ever asked for: no password, no keyboard-interactive.
 */
#pragma once

#include <libssh2.h>
#include <stddef.h>

#include "common/macro.h"

/* sshd counts each key that is offered, and gives up at 6. */
#define SSH_AUTH_TRIES_MAX 6
#define SSH_AUTH_FILES_MAX 8
#define SSH_AUTH_REASON_BYTES 512

struct event_base;
struct ssh_auth;

/* What there is to log in with. */
struct ssh_keyring {
	char *files[SSH_AUTH_FILES_MAX];
	size_t n_files;
	char *agent; /* SSH_AUTH_SOCK; NULL for none */
	char *known; /* text of the known_hosts file; NULL for none */
};

int ssh_auth_new(struct ssh_auth **out, struct event_base *base,
		 const struct ssh_keyring *keys, const char *user,
		 void (*on_wake)(void *ctx), void *ctx) MUST_CHECK;
/* NULL is fine. */
void ssh_auth_free(struct ssh_auth *a);

/* Goes on as far as it can: 0 when logged in, LIBSSH2_ERROR_EAGAIN (call
 * again after on_wake, or when the host has said something), -EACCES when no
 * key was accepted, or another error of libssh2's. */
int ssh_auth_step(struct ssh_auth *a, LIBSSH2_SESSION *session) MUST_CHECK;
/* What was tried, for a sentence: "~/.ssh/id_ed25519, 2 keys of the agent". */
void ssh_auth_tried(const struct ssh_auth *a, char *out, size_t size);
