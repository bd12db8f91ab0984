/*
 * Whether the key that a host shows is the one that it must have: the pinned
 * one, or one of a known_hosts file (names with wildcards and negations,
 * hashed names, [host]:port, @revoked; @cert-authority is passed over). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define SSH_HOSTKEY_PRINT_BYTES 64 /* "SHA256:" and 43 characters */
#define SSH_HOSTKEY_NAME_BYTES 64  /* "ecdsa-sha2-nistp256" */
#define SSH_HOSTKEY_PREFER_BYTES 256

struct ssh_hostkey_store {
	const char *pinned; /* SHA256:…; NULL: known tells */
	const char *known;  /* text of a known_hosts file; NULL for none */
	const char *address;
	uint16_t port;
};

enum ssh_hostkey_verdict {
	SSH_HOSTKEY_GOOD,
	SSH_HOSTKEY_UNKNOWN,
	SSH_HOSTKEY_CHANGED, /* another one was expected */
	SSH_HOSTKEY_REVOKED,
};

struct ssh_hostkey_finding {
	enum ssh_hostkey_verdict verdict;
	char algorithm[SSH_HOSTKEY_NAME_BYTES];
	char seen[SSH_HOSTKEY_PRINT_BYTES];
	char expected[SSH_HOSTKEY_PRINT_BYTES]; /* CHANGED: the other one */
};

/* key: the blob as the protocol has it. */
void ssh_hostkey_judge(const struct ssh_hostkey_store *store, const void *key,
		       size_t len, struct ssh_hostkey_finding *out);

/* The i-th algorithm that is spoken here, the best one first; NULL after the
 * last. */
const char *ssh_hostkey_algorithm(size_t i);
/* Those that the store knows the host by in front of the others, as
 * libssh2_session_method_pref() wants them. */
void ssh_hostkey_prefer(const struct ssh_hostkey_store *store,
			char out[SSH_HOSTKEY_PREFER_BYTES]);
