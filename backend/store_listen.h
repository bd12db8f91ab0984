/*
 * What other backends have committed in a database that is shared: a
 * connection in the event loop that listens to notifications.
 *
 * Each is sent by db_notify() in the transaction of the change itself: whoever
 * hears of it can read it. Those of this backend itself are not heard; several
 * alike in one transaction are one. Where the store is a file of this machine
 * nothing is ever heard, since nobody else writes to it.
 *
 *   AWAY ──timer──▶ CONNECTING ──▶ STARTING (LISTEN was sent) ──▶ ON
 *    ▲                  │               │                         │
 *    └──────────────────┴── any error ──┴─────────────────────────┘
 *
 * A connection that is lost is made again. What happened in the meantime is
 * not told: on_gap says to look at everything. It is also called when the
 * first connection listens.
 */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct event_base;
struct store;
struct store_listen;

/* Kinds; id is what they are about, number 0 unless said otherwise. */
/* number: enum store_notice_job */
#define STORE_NOTICE_JOB "job"       /* claimable, another state, a cancel */
#define STORE_NOTICE_LOG "log"       /* of a job: appended */
#define STORE_NOTICE_STREAM "stream" /* of a job: appended, or ended */
#define STORE_NOTICE_VARIABLE "variable" /* key; number: its new version */
#define STORE_NOTICE_HOST "host"
#define STORE_NOTICE_API_KEY "api_key"
#define STORE_NOTICE_AGENT "agent"
#define STORE_NOTICE_SESSION "session" /* number: STORE_NOTICE_SESSION_MADE */

enum store_notice_job {
	STORE_NOTICE_JOB_OTHER, /* of it: look */
	STORE_NOTICE_JOB_QUEUED,
	STORE_NOTICE_JOB_CLAIMED,
	STORE_NOTICE_JOB_ENDED,
};
#define STORE_NOTICE_SESSION_MADE 1

struct store_listen_handler {
	void (*on_notice)(void *ctx, const char *kind, const char *id,
			  int64_t number);
	void (*on_gap)(void *ctx);
	void *ctx;
};

/* Starts to listen; called back from the loop, and not before this returns.
 * The store outlives it. 0 or negative errno. Where nothing is ever heard *out
 * is NULL. */
int store_listen_new(struct store_listen **out, struct store *s,
		     struct event_base *base,
		     const struct store_listen_handler *handler) MUST_CHECK;
/* NULL is fine. Not from within its callbacks. */
void store_listen_free(struct store_listen *l);
