/*
 * The local server that this machine runs under RUN: found, waited for, or
 * started for as long as it is needed.
 *
 * RUN/up.sock belongs to `cronium up`. Whoever is connected to it holds an
 * embedded server up. It speaks lines:
 *
 *   up → CLI    ready          the API answers on RUN/api.sock
 *               failed TEXT    it cannot come up, and ends
 *   CLI → up    attach JOB     cancel it when I am gone
 *               detach JOB
 *
 * RUN/up.lock is held by `cronium up` while it lives; RUN/start.lock by a CLI
 * that starts one, so that two of them start one server.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define LOCAL_START_TIMEOUT_MS 60000

struct place;

enum {
	LOCAL_E_NONE = 1, /* nobody listens there */
	LOCAL_E_GONE,     /* it was there, and is going */
	LOCAL_E_FAILED,   /* told on stderr already */
};

/* A listening RUN/up.sock; replaces a stale one. fd or negative errno. */
int local_listen(const struct place *p) MUST_CHECK;
/* Connects and waits until the server is ready. *hold is to be kept open. 0,
 * LOCAL_E_* or negative errno. */
int local_join(const struct place *p, int *hold) MUST_CHECK;
/* Starts an embedded server, unless somebody else just did, and joins it. 0,
 * LOCAL_E_* or negative errno. */
int local_start(const struct place *p, int *hold) MUST_CHECK;
/* What the embedded server's log says last; NULL when it says nothing.
 * free() it. */
char *local_last_error(const struct place *p);
