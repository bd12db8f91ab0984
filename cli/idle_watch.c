#include "cli/idle_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define IDLE_WATCH_CALL_MS 30000
#define IDLE_WATCH_AGAIN_MS 1000 /* after the backend did not answer */

static const char *const idle_watch_states[] = { "running", "claimed",
						 "queued" };

struct idle_watch {
	struct backend_client *client;
	void (*on_idle)(void *ctx);
	void *ctx;
	struct backend_call *call; /* a look, or a job being followed */
	size_t state;              /* the one being looked at */
	bool checking;
	struct event *again;
};

static void idle_watch_look(struct idle_watch *l);

static void idle_watch_on_again(evutil_socket_t fd, short what, void *arg)
{
	idle_watch_look(arg);
}

static void idle_watch_later(struct idle_watch *l)
{
	const struct timeval tv = clock_timeval(IDLE_WATCH_AGAIN_MS);

	l->state = 0;
	event_add(l->again, &tv);
}

static void idle_watch_on_followed(struct backend_call *call,
				   const struct backend_response *r, void *ctx)
{
	struct idle_watch *l = ctx;

	l->call = NULL;
	if (r->error || r->status != 200) {
		idle_watch_later(l);
		return;
	}
	l->state = 0;
	idle_watch_look(l);
}

static void idle_watch_on_log(struct backend_call *call, const uint8_t *data,
			      size_t len, void *ctx)
{
	/* Its log is nobody's here: only the end counts. */
}

static void idle_watch_follow(struct idle_watch *l, const char *job)
{
	static const struct backend_call_ops ops = {
		.on_data = idle_watch_on_log,
		.on_done = idle_watch_on_followed,
	};
	char path[128];
	const struct backend_request req = { .method = "GET",
					     .path = path,
					     .retry = BACKEND_RETRY_SAFE };

	snprintf(path, sizeof(path), "/v1/jobs/%.64s/logs?follow=1", job);
	log_info(job, "nobody waits; going on until it has ended");
	if (backend_client_call(l->client, &req, &ops, l, &l->call) < 0)
		idle_watch_later(l);
}

static void idle_watch_on_jobs(struct backend_call *call,
			       const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *list = NULL;
	struct idle_watch *l = ctx;
	const char *job;

	l->call = NULL;
	if (r->error || r->status != 200) {
		idle_watch_later(l);
		return;
	}
	list = json_parse_object(r->body, r->body_len, NULL, 0);
	job = json_get_str(json_array_get(json_object_get(list, "jobs"), 0),
			   "id", NULL);
	if (job) {
		idle_watch_follow(l, job);
		return;
	}
	if (++l->state < ARRAY_SIZE(idle_watch_states)) {
		idle_watch_look(l);
		return;
	}
	l->checking = false;
	l->on_idle(l->ctx);
}

static void idle_watch_look(struct idle_watch *l)
{
	static const struct backend_call_ops ops = {
		.on_done = idle_watch_on_jobs
	};
	char path[64];
	const struct backend_request req = { .method = "GET",
					     .path = path,
					     .deadline_ms = IDLE_WATCH_CALL_MS,
					     .retry = BACKEND_RETRY_SAFE };

	snprintf(path, sizeof(path), "/v1/jobs?limit=1&state=%s",
		 idle_watch_states[l->state]);
	if (backend_client_call(l->client, &req, &ops, l, &l->call) < 0)
		idle_watch_later(l);
}

int idle_watch_new(struct idle_watch **out, struct event_base *base,
		   struct backend_client *client, void (*on_idle)(void *ctx),
		   void *ctx)
{
	struct idle_watch *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->client = client;
	l->on_idle = on_idle;
	l->ctx = ctx;
	l->again = event_new(base, -1, 0, idle_watch_on_again, l);
	if (!l->again) {
		free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

static void idle_watch_stop(struct idle_watch *l)
{
	l->checking = false;
	event_del(l->again);
	if (l->call)
		backend_call_cancel(l->call);
	l->call = NULL;
}

void idle_watch_free(struct idle_watch *l)
{
	if (!l)
		return;
	idle_watch_stop(l);
	event_free(l->again);
	free(l);
}

void idle_watch_check(struct idle_watch *l)
{
	if (l->checking)
		return;
	l->checking = true;
	l->state = 0;
	idle_watch_look(l);
}

static void idle_watch_on_cancelled(struct backend_call *call,
				    const struct backend_response *r, void *ctx)
{
	if (r->error)
		log_warn(NULL, "a job could not be cancelled: %s", r->detail);
}

void idle_watch_cancel_job(struct idle_watch *l, const char *job)
{
	static const struct backend_call_ops ops = {
		.on_done = idle_watch_on_cancelled
	};
	static const struct backend_header headers[] = {
		{ "content-type", "application/json" },
	};
	static const char body[] =
		"{\"reason\":\"the cronium command that ran it was ended\"}";
	char path[128];
	const struct backend_request req = {
		.method = "POST",
		.path = path,
		.headers = headers,
		.n_headers = 1,
		.body = body,
		.body_len = sizeof(body) - 1,
		.deadline_ms = IDLE_WATCH_CALL_MS,
		.retry = BACKEND_RETRY_SAFE,
	};

	log_info(job, "its command is gone; it is cancelled");
	snprintf(path, sizeof(path), "/v1/jobs/%.64s/cancel", job);
	if (backend_client_call(l->client, &req, &ops, l, NULL) < 0)
		log_warn(job, "cannot be cancelled: out of memory");
}
