#include "sidecar/stream_retry.h"

#include <errno.h>
#include <event2/event.h>

#include "backend-client/retry.h"
#include "common/clock.h"

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stream_retry *r = arg;

	r->on_due(r->arg);
}

int stream_retry_init(struct stream_retry *r, struct event_base *base,
		      void (*on_due)(void *arg), void *arg)
{
	r->on_due = on_due;
	r->arg = arg;
	r->timer = evtimer_new(base, on_timer, r);
	return r->timer ? 0 : -ENOMEM;
}

void stream_retry_deinit(struct stream_retry *r)
{
	if (r->timer)
		event_free(r->timer);
	r->timer = NULL;
}

void stream_retry_contact(struct stream_retry *r)
{
	r->lost_ms = 0;
}

void stream_retry_progress(struct stream_retry *r)
{
	r->failures = 0;
	r->lost_ms = 0;
}

int64_t stream_retry_plan(struct stream_retry *r, uint64_t now_ms,
			  uint32_t random)
{
	static const struct retry_backoff backoff = {
		.initial_ms = STREAM_BACKOFF_INITIAL_MS,
		.max_ms = STREAM_BACKOFF_MAX_MS,
	};

	r->failures++;
	if (!r->lost_ms)
		r->lost_ms = now_ms;
	if (now_ms - r->lost_ms >= STREAM_LOST_MS)
		return -1;
	return (int64_t)retry_delay_ms(&backoff, r->failures, random);
}

void stream_retry_later(struct stream_retry *r, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(r->timer, &tv);
}

bool stream_retry_again(struct stream_retry *r)
{
	int64_t ms = stream_retry_plan(r, clock_mono_ms(), arc4random());

	if (ms >= 0)
		stream_retry_later(r, (uint64_t)ms);
	return ms >= 0;
}
