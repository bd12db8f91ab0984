#include "backend/retries.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/job_change.h"
#include "backend/store_queue.h"
#include "common/clock.h"
#include "common/log.h"

struct retries {
	struct backend *b;
	struct event *timer;
	int64_t at_ms; /* when it goes off, by the store's clock; 0: not armed */
	bool stopped;
};

/* At this time, or earlier where that was said before. */
static void retries_arm(struct retries *t, int64_t at_ms)
{
	int64_t left_ms = at_ms - store_now_ms(t->b->store);
	struct timeval tv;

	if (t->stopped || (t->at_ms && t->at_ms <= at_ms))
		return;
	t->at_ms = at_ms;
	tv = clock_timeval((uint64_t)MAX(left_ms, 0));
	event_add(t->timer, &tv);
}

static void on_due(int r, const struct store_result *result, void *ctx)
{
	struct retries *t = ctx;

	if (r) {
		log_error("queue", "jobs wait for their next try: %s",
			  result->message);
		retries_arm(t,
			    store_now_ms(t->b->store) + RETRIES_STORE_BUSY_MS);
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++)
		job_changed(t->b, &result->jobs.items[i]);
	if (result->jobs.next_ms)
		retries_arm(t, result->jobs.next_ms);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct retries *t = ctx;
	const struct store_done done = { NULL, on_due, t };

	t->at_ms = 0;
	if (store_queue_due(t->b->store, store_now_ms(t->b->store), done))
		retries_arm(t,
			    store_now_ms(t->b->store) + RETRIES_STORE_BUSY_MS);
}

void retries_job_changed(struct retries *t, const struct store_job *job)
{
	if (job->state == JOB_QUEUED && job->not_before_ms)
		retries_arm(t, job->not_before_ms);
}

void retries_start(struct retries *t)
{
	retries_arm(t, store_now_ms(t->b->store));
}

void retries_look(struct retries *t)
{
	retries_arm(t, store_now_ms(t->b->store));
}

void retries_stop(struct retries *t)
{
	t->stopped = true;
	event_del(t->timer);
}

int retries_new(struct retries **out, struct backend *b)
{
	struct retries *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->b = b;
	t->timer = event_new(b->base, -1, 0, on_timer, t);
	if (!t->timer) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void retries_free(struct retries *t)
{
	if (!t)
		return;
	event_free(t->timer);
	free(t);
}
