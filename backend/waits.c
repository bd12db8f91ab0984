#include "backend/waits.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/backend.h"
#include "backend/follow.h"
#include "backend/job_change.h"
#include "backend/job_place.h"
#include "backend/store_job.h"
#include "backend/store_no_wait.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

/* A queued job that is followed. */
struct wait {
	char job[ID_MAX_BYTES];
	struct waiting told;
	UT_hash_handle hh;
};

struct waits {
	struct backend *b;
	struct wait *by_job;
	struct event *look;  /* at the end of the pace */
	struct event *grace; /* at the end of the grace */
	uint64_t digest;     /* of the place, as of the last look */
	bool all;            /* the next look does not ask whether it changed */
	bool no_wait;        /* there may be queued jobs with no_wait */
	uint64_t seen;       /* how many of them were, … */
	uint64_t asked;      /* … when the store was last asked for them */
	bool absent;         /* within the grace */
	bool stopped;
};

/* --- looking again, soon -------------------------------------------------- */

void waits_wake(struct waits *w)
{
	const struct timeval pace = clock_timeval(WAITS_PACE_MS);

	if (!w->stopped && (w->by_job || w->no_wait) &&
	    !event_pending(w->look, EV_TIMEOUT, NULL))
		event_add(w->look, &pace);
}

void waits_wake_all(struct waits *w)
{
	w->all = true;
	waits_wake(w);
}

static void waits_begin_grace(struct waits *w)
{
	const struct timeval grace = clock_timeval(WAITS_GRACE_MS);

	if (w->stopped)
		return;
	w->absent = true;
	event_add(w->grace, &grace);
}

static void on_grace(evutil_socket_t fd, short what, void *ctx)
{
	struct waits *w = ctx;

	w->absent = false;
	waits_wake_all(w);
}

void waits_agent_gone(struct waits *w)
{
	waits_begin_grace(w);
	waits_wake(w);
}

/* --- followers ----------------------------------------------------------- */

static struct wait *waits_find(const struct waits *w, const char *job)
{
	struct wait *wait;

	HASH_FIND_STR(w->by_job, job, wait);
	return wait;
}

static void waits_forget(struct waits *w, struct wait *wait)
{
	HASH_DEL(w->by_job, wait);
	free(wait);
}

static struct wait *waits_add(struct waits *w, const char *job)
{
	struct wait *wait = calloc(1, sizeof(*wait));

	if (!wait)
		return NULL;
	snprintf(wait->job, sizeof(wait->job), "%s", job);
	HASH_ADD_STR(w->by_job, job, wait);
	if (wait->hh.tbl)
		return wait;
	free(wait);
	return NULL;
}

void waits_told(struct waits *w, const struct store_job *job,
		const struct waiting *waiting)
{
	struct wait *wait = waits_find(w, job->id);

	if (!wait)
		wait = waits_add(w, job->id);
	if (wait)
		wait->told = *waiting;
	else
		log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
			  "out of memory: followers will not be told what it "
			  "waits for");
}

/* What was read is as old as the question: a job that has left the queue since
 * is not in the table any more. */
static void on_followed(int r, const struct store_result *result, void *ctx)
{
	struct waits *w = ctx;
	const struct wait *wait = r ? NULL : waits_find(w, result->job.id);
	struct waiting now;

	if (!wait || result->job.state != JOB_QUEUED ||
	    job_waiting(w->b, &result->job, &now))
		return;
	/* What a guard has measured is another number each time. */
	if (now.code != wait->told.code ||
	    (now.code != WAITING_GUARD &&
	     strcmp(now.message, wait->told.message) != 0))
		job_publish(w->b, &result->job);
}

static void waits_ask_followed(struct waits *w)
{
	const struct store_done done = { NULL, on_followed, w };
	struct wait *wait, *tmp;

	HASH_ITER(hh, w->by_job, wait, tmp)
	{
		if (!follow_wanted(w->b->follow, wait->job))
			waits_forget(w, wait);
		else if (store_job_get(w->b->store, wait->job, done))
			waits_wake_all(w); /* the store is busy */
	}
}

/* --- no_wait ------------------------------------------------------------- */

bool waits_refuse(struct waits *w, const struct store_job *job,
		  struct waiting *why)
{
	if (job->state != JOB_QUEUED || !job->no_wait ||
	    job_waiting(w->b, job, why))
		return false;
	return waiting_is_refused(why->code) &&
	       !(w->absent && waiting_is_absence(why->code));
}

static void on_failed(int r, const struct store_result *result, void *ctx)
{
	struct waits *w = ctx;

	if (r == 0)
		job_changed(w->b, &result->job);
	else if (r < 0)
		waits_wake_all(w);
}

static void waits_judge(struct waits *w, const struct store_job *job)
{
	const struct store_done done = { NULL, on_failed, w };
	struct waiting why;
	const struct store_job_fail fail = { job->id, why.message };

	if (waits_refuse(w, job, &why) &&
	    store_job_fail(w->b->store, &fail, done))
		waits_wake_all(w);
}

static void on_no_wait(int r, const struct store_result *result, void *ctx)
{
	struct waits *w = ctx;

	if (r) {
		waits_wake_all(w);
		return;
	}
	w->no_wait = result->jobs.n > 0 || w->asked != w->seen;
	for (size_t i = 0; i < result->jobs.n; i++)
		waits_judge(w, &result->jobs.items[i]);
}

static void waits_ask_no_wait(struct waits *w)
{
	const struct store_done done = { NULL, on_no_wait, w };

	w->no_wait = true; /* until it is known that there are none */
	w->asked = w->seen;
	if (store_job_no_wait(w->b->store, done))
		waits_wake_all(w);
}

/* --- a look -------------------------------------------------------------- */

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	struct waits *w = ctx;
	uint64_t before = w->digest;
	struct job_place place;
	bool all = w->all;

	if (job_place_init(&place, w->b)) {
		waits_wake_all(w);
		return;
	}
	w->digest = job_place_digest(&place);
	job_place_deinit(&place);
	w->all = false;
	if (!all && w->digest == before)
		return;
	waits_ask_followed(w);
	if (w->no_wait)
		waits_ask_no_wait(w);
}

void waits_job_changed(struct waits *w, const struct store_job *job)
{
	struct wait *wait = waits_find(w, job->id);

	if (job->state != JOB_QUEUED && wait)
		waits_forget(w, wait);
	if (job->state == JOB_QUEUED && job->no_wait) {
		w->no_wait = true;
		w->seen++;
		waits_judge(w, job);
	}
	waits_wake(w);
}

/* --- life ---------------------------------------------------------------- */

int waits_new(struct waits **out, struct backend *b)
{
	struct waits *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->b = b;
	w->look = event_new(b->base, -1, 0, on_look, w);
	w->grace = event_new(b->base, -1, 0, on_grace, w);
	if (!w->look || !w->grace) {
		waits_free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void waits_start(struct waits *w)
{
	waits_begin_grace(w);
	waits_ask_no_wait(w);
}

void waits_stop(struct waits *w)
{
	w->stopped = true;
	event_del(w->look);
	event_del(w->grace);
}

void waits_free(struct waits *w)
{
	struct wait *wait, *tmp;

	if (!w)
		return;
	HASH_ITER(hh, w->by_job, wait, tmp)
	waits_forget(w, wait);
	if (w->look)
		event_free(w->look);
	if (w->grace)
		event_free(w->grace);
	free(w);
}
