/*
 * Keeps an eye on queued jobs that wait: those who follow one are told when
 * what it waits for changes, and one with no_wait fails as soon as that is
 * more than a free slot.
 *
 *     something changed (an agent, a guard, a session, a slot)
 *       └─▶ soon: is it another place than before? ─▶ followed jobs are read
 *             and judged again; so are the queued ones with no_wait
 *
 * An orchestrator that has just gone may be back in a moment: its absence is
 * counted against a job that was submitted before only after WAITS_GRACE_MS;
 * so after the backend's own start.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

#define WAITS_PACE_MS 500   /* between two looks */
#define WAITS_GRACE_MS 5000 /* for an orchestrator to come back */

struct backend;
struct store_job;
struct waiting;
struct waits;

int waits_new(struct waits **out, struct backend *b) MUST_CHECK;
void waits_free(struct waits *w);
/* The store was read: looks at what was queued before. */
void waits_start(struct waits *w);
void waits_stop(struct waits *w);

/* Agents, slots or what the queue knows may have changed. */
void waits_wake(struct waits *w);
/* Jobs have: of a session, or all. */
void waits_wake_all(struct waits *w);
/* An orchestrator went away. */
void waits_agent_gone(struct waits *w);

/* Followers of a queued job were told this. */
void waits_told(struct waits *w, const struct store_job *job,
		const struct waiting *waiting);
/* Called by job_changed(). */
void waits_job_changed(struct waits *w, const struct store_job *job);

/* Whether a queued job with no_wait has to fail now, and why. */
bool waits_refuse(struct waits *w, const struct store_job *job,
		  struct waiting *why);
