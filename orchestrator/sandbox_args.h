/* The command line of bubblewrap: what a sandbox is made of. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

/* With the shares and what leads to them. */
#define SANDBOX_ARGS_MAX 1024
#define SANDBOX_ARGS_TEXT_BYTES (32 * 1024)

/* Where the interpreter is that the sandbox is shown by itself. */
#define SANDBOX_ARGS_BIN_DIR "/opt/bin"

/* Descriptors of bwrap beside 0, 1, 2. */
#define SANDBOX_ARGS_CONTROL_FD 3
#define SANDBOX_ARGS_SECCOMP_FD 4
#define SANDBOX_ARGS_AGAIN_FD 5 /* O_PATH: the runner's of pod_dir.h */

struct shares;

struct sandbox_args_spec {
	const char *run_dir;
	const char *sdk_dir; /* or NULL */
	/* A file that is shown as SANDBOX_ARGS_BIN_DIR/program_name, or
	 * NULL. */
	const char *program, *program_name;
	const char *payload_key; /* the runner's --key, or "" */
	bool root;
	const struct shares *shares; /* that it is shown; NULL: none */
	bool processes;              /* it sees those of the machine */
	/* What no cgroup enforces: the runner sets an rlimit; 0 = it does. */
	uint64_t memory_bytes;
	uint32_t pids;
};

struct sandbox_args {
	const char *items[SANDBOX_ARGS_MAX]; /* NULL-terminated */
	size_t n;
	char text[SANDBOX_ARGS_TEXT_BYTES]; /* of the items that are made */
	size_t text_len;
	bool full;
};

/* 0, or -E2BIG when a path is too long. spec's strings must live as long. */
int sandbox_args_init(struct sandbox_args *a,
		      const struct sandbox_args_spec *spec) MUST_CHECK;
