/*
 * A channel of a connection as one end of a socket: a command on the host, or
 * a connection that came in through a forwarded port. Bytes are pumped both
 * ways, no faster than the slower side takes them; each direction ends by
 * itself.
 *
 *   OPENING ─▶ EXECUTING ─▶ UP ─▶ CLOSING ─▶ GONE
 *                 (a command)
 */
#pragma once

#include <libssh2.h>
#include <stddef.h>

#include "common/macro.h"

/* What a command may have unread on the way to us. */
#define SSH_CHANNEL_WINDOW_BYTES (256 * 1024)
#define SSH_CHANNEL_READ_BYTES (32 * 1024)
#define SSH_CHANNEL_CLOSE_MS 5000
/* The end of what a command writes on stderr. */
#define SSH_CHANNEL_COMPLAINT_BYTES 256

struct ssh_channel;
struct ssh_connection;

enum ssh_channel_cause {
	SSH_CHANNEL_ENDED,   /* the command ended */
	SSH_CHANNEL_REFUSED, /* the host has no channel for it */
	SSH_CHANNEL_FAILED,  /* the command could not be started */
	SSH_CHANNEL_BROKEN,  /* the connection was lost: reason */
};

struct ssh_channel_end {
	enum ssh_channel_cause cause;
	int status; /* ENDED: exit code, 128 + n after signal n, -1 unknown */
	const char *complaint; /* the last line of its stderr, or "" */
	const char *reason;
};

struct ssh_channel_ops {
	/* The command was started; may be NULL. */
	void (*on_open)(void *ctx);
	/* Once. Frees nothing by itself: ssh_channel_free() does. */
	void (*on_end)(void *ctx, const struct ssh_channel_end *end);
};

/*
 * Runs a command. fd: our end, taken over, also on error. 0 or -ENOMEM; no
 * callback from within.
 */
int ssh_channel_exec(struct ssh_channel **out, struct ssh_connection *c,
		     const char *command, int fd,
		     const struct ssh_channel_ops *ops, void *ctx) MUST_CHECK;
/* Pumps a channel that was accepted; it frees itself. raw and fd are taken
 * over, also on error. */
int ssh_channel_pump(struct ssh_connection *c, LIBSSH2_CHANNEL *raw,
		     int fd) MUST_CHECK;
/* The command's stdin ends; what it still writes is passed on. */
void ssh_channel_finish(struct ssh_channel *ch);
/* No more callbacks; the channel is closed in its own time, after it has taken
 * out of the socket what is there. NULL is fine. */
void ssh_channel_free(struct ssh_channel *ch);
