/*
 * The local server that this machine runs under RUN: found, waited for, or
 * started for as long as it is needed.
 *
 * RUN/up.sock belongs to `cronium up`. Whoever is connected to it holds an
 * embedded server up. It speaks lines:
 *
 *   up → CLI    ready [embedded]   the API answers on RUN/api.sock
 *               failed TEXT        it cannot come up, and ends
 *   CLI → up    attach JOB         cancel it when I am gone (embedded)
 *               detach JOB
 *
 * RUN/up.lock is held by `cronium up` while it lives; RUN/start.lock by a CLI
 * that starts one, so that two of them start one server.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define LOCAL_START_TIMEOUT_MS 60000

struct place;

enum {
	LOCAL_E_NONE = 1, /* nobody listens there */
	LOCAL_E_GONE,     /* it was there, and is going */
	LOCAL_E_FAILED,   /* told on stderr already */
};

/* RUN/up.lock, for as long as the descriptor is open. Waiting: the one before
 * may be on its way out. -EAGAIN (-EINTR after the wait): another has it. */
int local_lock_up(const struct place *p, bool wait) MUST_CHECK;
/* Somebody has it: on RUN/api.sock is his backend, perhaps not for long. */
bool local_up_lives(const struct place *p);

/* A listening RUN/up.sock; replaces a stale one. fd or negative errno. */
int local_listen(const struct place *p) MUST_CHECK;
/* One's part in a server. */
struct local_hold {
	int fd;        /* RUN/up.sock, to be kept open; -1: none */
	bool embedded; /* it goes when fd is closed, and everybody else's */
};

/* Connects and waits until the server is ready. 0, LOCAL_E_* or negative
 * errno. */
int local_join(const struct place *p, struct local_hold *out) MUST_CHECK;
/* Starts an embedded server, unless somebody else just did, and joins it. 0,
 * LOCAL_E_* or negative errno. */
int local_start(const struct place *p, struct local_hold *out) MUST_CHECK;
/* What the embedded server's log says last; NULL when it says nothing.
 * free() it. */
char *local_last_error(const struct place *p);
