/*
 * A process that `cronium up` keeps running:
 *
 *   STOPPED ─▶ RUNNING ─▶ (it ended) WAITING ─▶ RUNNING …
 *                 └─▶ STOPPING ─▶ STOPPED
 *
 * It is restarted with backoff, ends with us (PR_SET_PDEATHSIG), and is stopped
 * by SIGTERM, then, after a while, by SIGKILL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

#define CHILD_BACKOFF_MIN_MS 100
#define CHILD_BACKOFF_MAX_MS 10000
#define CHILD_STABLE_MS 30000 /* lived so long: the backoff starts anew */

struct child;
struct event_base;

struct child_config {
	const char *name;    /* for the log; outlives the child */
	const char *program; /* absolute */
	const char *const *argv;
	int death_signal; /* when we die; 0: SIGTERM */
	uint32_t stop_ms; /* from SIGTERM to SIGKILL */
	/* It ended: the wait status. Return false to leave it so. */
	bool (*on_exit)(struct child *c, int status, bool first_start,
			void *ctx);
	void (*on_stopped)(struct child *c, void *ctx);
	void *ctx;
};

int child_new(struct child **out, struct event_base *base,
	      const struct child_config *config) MUST_CHECK;
void child_free(struct child *c); /* kills it */

/* 0 or negative errno. */
int child_start(struct child *c) MUST_CHECK;
/* on_stopped follows, also where it did not run; never from within. */
void child_stop(struct child *c);
/* Where it runs. NULL is fine. */
void child_signal(struct child *c, int number);
/* From SIGCHLD: true if the process was this child. */
bool child_reaped(struct child *c, pid_t pid, int status);
/* "exit code 1", "signal 9 (Killed)" */
const char *child_status_text(int status, char *out, size_t size);
