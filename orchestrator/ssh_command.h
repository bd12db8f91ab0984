/*
 * A short command on a host: bytes for its stdin, what it says, how it ended.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define SSH_COMMAND_OUTPUT_MAX_BYTES 16384
/* Without progress: neither input taken nor output given. */
#define SSH_COMMAND_STALL_MS 20000

struct ssh_command;
struct ssh_connection;

struct ssh_command_result {
	int status;        /* its exit code, or -1 */
	const char *out;   /* what it wrote; NUL-terminated */
	const char *error; /* status != 0: a part of a sentence */
};

/* input stays the caller's until done, which is called once. 0 or -ENOMEM; no
 * callback from within. */
int ssh_command_new(struct ssh_command **out, struct ssh_connection *c,
		    const char *command, const void *input, size_t len,
		    void (*done)(void *ctx, const struct ssh_command_result *r),
		    void *ctx) MUST_CHECK;
/* Also in done. NULL is fine. */
void ssh_command_free(struct ssh_command *cmd);
