/*
 * What is put on a host, with the hashes that it is called by: a runner for
 * each kind of machine, and the SDKs as one archive. Read once.
 */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define SSH_BUNDLE_HASH_BYTES 65 /* hexadecimal SHA-256 with its NUL */
#define SSH_BUNDLE_RUNNERS_MAX 2
#define SSH_BUNDLE_RUNNER_MAX_BYTES (64UL * 1024 * 1024)

struct ssh_bundle_runner {
	const char *machine; /* as uname -m says it */
	struct buf bytes;
	char hash[SSH_BUNDLE_HASH_BYTES];
};

struct ssh_bundle {
	struct ssh_bundle_runner runners[SSH_BUNDLE_RUNNERS_MAX];
	size_t n_runners;
	struct buf sdk; /* tar.gz; empty: there are no SDKs here */
	char sdk_hash[SSH_BUNDLE_HASH_BYTES];
	/* Of the lines `sha256sum` prints for its files, sorted by name. */
	char sdk_list_hash[SSH_BUNDLE_HASH_BYTES];
};

/*
 * runner: cronium-runner of this machine; those of others lie beside it, with
 * "-x86_64" or "-aarch64" added to its name. sdk_dir may be NULL. 0, or
 * negative errno with a sentence in err.
 */
int ssh_bundle_new(struct ssh_bundle **out, const char *runner,
		   const char *sdk_dir, char *err, size_t err_size) MUST_CHECK;
void ssh_bundle_free(struct ssh_bundle *b);
DEFINE_CLEANUP(struct ssh_bundle *, ssh_bundle_free)

/* NULL where there is none for it. */
const struct ssh_bundle_runner *ssh_bundle_find(const struct ssh_bundle *b,
						const char *machine);
