/*
 * Puts runner and SDKs on a host, below ~/.cache/cronium and called by the
 * hash of their content, and looks at what is there already: a runner that is
 * not what its name says is replaced.
 */
#pragma once

#include "common/macro.h"

#define SSH_INSTALL_PATH_BYTES 512
#define SSH_INSTALL_ERROR_BYTES 768

struct ssh_bundle;
struct ssh_connection;
struct ssh_install;

struct ssh_install_ops {
	void (*on_progress)(void *ctx, const char *text);
	/* Once; error is NULL, or a sentence. */
	void (*on_done)(void *ctx, const char *error);
};

/* Begins, over c. 0 or -ENOMEM; no callback from within. */
int ssh_install_new(struct ssh_install **out, struct ssh_connection *c,
		    const struct ssh_bundle *bundle,
		    const struct ssh_install_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. */
void ssh_install_free(struct ssh_install *i);

/* Once it is done: absolute paths on the host; "" for no SDKs. */
const char *ssh_install_runner(const struct ssh_install *i);
const char *ssh_install_sdk(const struct ssh_install *i);
