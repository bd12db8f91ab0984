#include "common/curl/curl_loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "common/clock.h"

struct curl_loop {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
};

static void loop_collect(struct curl_loop *l)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(l->multi, &left))) {
		struct curl_transfer *t;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		curl_loop_stop(t);
		t->on_done(t, code);
	}
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
	struct curl_loop *l = ctx;
	int running, mask = 0;

	if (what & EV_READ)
		mask |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(l->multi, fd, mask, &running);
	loop_collect(l);
}

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct curl_loop *l = ctx;
	int running;

	curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	loop_collect(l);
}

static int watch_socket(CURL *easy UNUSED, curl_socket_t fd, int what,
			void *ctx, void *socket_ctx)
{
	struct curl_loop *l = ctx;
	struct event *ev = socket_ctx;
	short events = EV_PERSIST;

	if (ev)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		ev = event_new(l->base, fd, events, on_socket, l);
		if (!ev || event_add(ev, NULL) < 0) {
			if (ev)
				event_free(ev);
			curl_multi_assign(l->multi, fd, NULL);
			return -1;
		}
	}
	curl_multi_assign(l->multi, fd, ev);
	return 0;
}

static int watch_timer(CURLM *multi UNUSED, long timeout_ms, void *ctx)
{
	struct curl_loop *l = ctx;
	struct timeval tv;

	if (timeout_ms < 0)
		return event_del(l->timer);
	tv = clock_timeval((uint64_t)timeout_ms);
	return event_add(l->timer, &tv);
}

int curl_loop_new(struct curl_loop **out, struct event_base *base)
{
	_cleanup_(curl_loop_freep) struct curl_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->base = base;
	l->timer = evtimer_new(base, on_timer, l);
	l->multi = curl_multi_init();
	if (!l->timer || !l->multi)
		return -ENOMEM;
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	*out = l;
	l = NULL;
	return 0;
}

void curl_loop_free(struct curl_loop *l)
{
	if (!l)
		return;
	if (l->multi)
		curl_multi_cleanup(l->multi);
	if (l->timer)
		event_free(l->timer);
	free(l);
}

int curl_loop_start(struct curl_loop *l, struct curl_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	if (curl_multi_add_handle(l->multi, t->easy) != CURLM_OK)
		return -ENOMEM;
	t->loop = l;
	return 0;
}

void curl_loop_stop(struct curl_transfer *t)
{
	if (!t->loop)
		return;
	curl_multi_remove_handle(t->loop->multi, t->easy);
	t->loop = NULL;
}
