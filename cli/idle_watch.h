/*
 * When an embedded server may go: nobody is connected to RUN/up.sock and no job
 * is queued or under way. Told by events: the first active job is followed to
 * its end, then it is looked again.
 */
#pragma once

#include "common/macro.h"

struct backend_client;
struct event_base;
struct idle_watch;

/* on_idle: no job is active. */
int idle_watch_new(struct idle_watch **out, struct event_base *base,
		   struct backend_client *client, void (*on_idle)(void *ctx),
		   void *ctx) MUST_CHECK;
void idle_watch_free(struct idle_watch *l);

/* Looks, and goes on looking until on_idle. */
void idle_watch_check(struct idle_watch *l);
/* Cancels a job whose CLI is gone. */
void idle_watch_cancel_job(struct idle_watch *l, const char *job);
