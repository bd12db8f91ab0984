#include "backend/streams.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/store_stream.h"
#include "backend/stream_hub.h"
#include "common/clock.h"
#include "common/log.h"

struct streams {
	struct backend *b;
	struct stream_hub *hub;
	struct event *expire, *retry;
	bool sweeping, sweep_again;
};

/* --- waiting writers ----------------------------------------------------- */

void streams_watch(struct streams *s)
{
	struct timeval tv;
	int64_t now = (int64_t)clock_mono_ms();
	int64_t at = stream_hub_expire(s->hub, now);

	if (at < 0)
		return;
	tv = clock_timeval((uint64_t)MAX(at - now, 1));
	event_add(s->expire, &tv);
}

static void on_expire(evutil_socket_t fd, short what, void *ctx)
{
	streams_watch(ctx);
}

/* --- sweeping ------------------------------------------------------------ */

static void streams_sweep(struct streams *s);

static void on_swept(int r, const struct store_result *result, void *ctx)
{
	const struct timeval later = clock_timeval(STREAMS_SWEEP_RETRY_MS);
	struct streams *s = ctx;
	bool again = s->sweep_again;

	s->sweeping = false;
	s->sweep_again = false;
	if (s->b->draining)
		return;
	if (r < 0) {
		log_warn("-", "records that are no longer needed stay: %s",
			 result->message);
		event_add(s->retry, &later);
	} else if (again || result->more) {
		streams_sweep(s);
	}
}

static void streams_sweep(struct streams *s)
{
	const struct store_done done = { NULL, on_swept, s };
	const struct timeval later = clock_timeval(STREAMS_SWEEP_RETRY_MS);

	if (s->sweeping)
		s->sweep_again = true;
	else if (store_stream_sweep(s->b->store, done))
		event_add(s->retry, &later);
	else
		s->sweeping = true;
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	streams_sweep(ctx);
}

/* --- life ---------------------------------------------------------------- */

int streams_new(struct streams **out, struct backend *b)
{
	struct streams *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->b = b;
	s->expire = event_new(b->base, -1, 0, on_expire, s);
	s->retry = event_new(b->base, -1, 0, on_retry, s);
	if (!s->expire || !s->retry || stream_hub_new(&s->hub)) {
		streams_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	if (s->expire)
		event_free(s->expire);
	if (s->retry)
		event_free(s->retry);
	stream_hub_free(s->hub);
	free(s);
}

void streams_start(struct streams *s)
{
	streams_sweep(s);
}

void streams_job_changed(struct streams *s, const struct store_job *job)
{
	if (!job_state_ended(job->state))
		return;
	stream_hub_job_ended(s->hub, job->id);
	if (!s->b->draining)
		streams_sweep(s);
}

void streams_stop(struct streams *s)
{
	event_del(s->retry);
	stream_hub_stop(s->hub);
}

struct stream_hub *streams_hub(const struct streams *s)
{
	return s->hub;
}
