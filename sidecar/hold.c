#include "sidecar/hold.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>

#include "common/clock.h"
#include "sidecar/request.h"

struct held {
	STAILQ_ENTRY(held) link;
	struct hold *hold;
	struct reply reply;
	uint64_t deadline_ms;
};

static const struct http_header retry_after = { "Retry-After", "1" };

static void set_timer(struct hold *h)
{
	const struct held *oldest = STAILQ_FIRST(&h->requests);
	uint64_t now_ms = clock_mono_ms(), left_ms = 0;
	struct timeval tv;

	if (!oldest)
		return;
	if (oldest->deadline_ms > now_ms)
		left_ms = oldest->deadline_ms - now_ms;
	tv = clock_timeval(left_ms);
	evtimer_add(h->timer, &tv);
}

static struct held *take(struct hold *h)
{
	struct held *held = STAILQ_FIRST(&h->requests);

	if (!held)
		return NULL;
	STAILQ_REMOVE_HEAD(&h->requests, link);
	h->n--;
	return held;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hold *h = arg;
	struct held *oldest;

	while ((oldest = STAILQ_FIRST(&h->requests)) &&
	       oldest->deadline_ms <= clock_mono_ms()) {
		take(h);
		reply_problem_with(&oldest->reply, 503, "not_assigned",
				   &retry_after,
				   "this sidecar was not given a job within "
				   "%d seconds; try again",
				   HOLD_MS / 1000);
		free(oldest);
	}
	set_timer(h);
}

int hold_init(struct hold *h, struct event_base *base)
{
	STAILQ_INIT(&h->requests);
	h->n = 0;
	h->timer = evtimer_new(base, on_timer, h);
	return h->timer ? 0 : -ENOMEM;
}

void hold_deinit(struct hold *h)
{
	struct held *held;

	if (!h->timer)
		return;
	while ((held = take(h)))
		free(held);
	event_free(h->timer);
	h->timer = NULL;
}

static void on_close(struct http_exchange *ex, void *data)
{
	struct held *held = data;
	struct hold *h = held->hold;

	STAILQ_REMOVE(&h->requests, held, held, link);
	h->n--;
	free(held);
}

void hold_add(struct hold *h, struct request *req)
{
	struct held *held = h->n < HOLD_REQUESTS_MAX ? calloc(1, sizeof(*held))
						     : NULL;

	if (!held) {
		reply_problem_with(&req->reply, 503, "not_assigned",
				   &retry_after,
				   "this sidecar was not given a job yet, and "
				   "%zu requests wait for it; try again",
				   h->n);
		return;
	}
	held->hold = h;
	held->reply = req->reply;
	held->deadline_ms = clock_mono_ms() + HOLD_MS;
	STAILQ_INSERT_TAIL(&h->requests, held, link);
	http_exchange_set_data(held->reply.ex, held);
	http_exchange_on_close(held->reply.ex, on_close);
	if (++h->n == 1)
		set_timer(h);
}

struct http_exchange *hold_take(struct hold *h)
{
	struct held *held = take(h);
	struct http_exchange *ex;

	if (!held)
		return NULL;
	ex = held->reply.ex;
	http_exchange_on_close(ex, NULL);
	http_exchange_set_data(ex, NULL);
	free(held);
	return ex;
}
