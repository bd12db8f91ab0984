#include "backend/neighbours.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/auth.h"
#include "backend/backend.h"
#include "backend/change_hub.h"
#include "backend/follow.h"
#include "backend/job_change.h"
#include "backend/live.h"
#include "backend/neighbours_impl.h"
#include "backend/orphans.h"
#include "backend/queue.h"
#include "backend/retries.h"
#include "backend/session_change.h"
#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "backend/store_listen.h"
#include "backend/store_session.h"
#include "backend/stream_hub.h"
#include "backend/streams.h"
#include "backend/waits.h"
#include "common/clock.h"
#include "common/log.h"

/* --- jobs ----------------------------------------------------------------- */

/* Whether somebody here has to do with it. */
static bool job_concerns_us(const struct backend *b, const char *job)
{
	return live_find_job(b->live, job) || follow_wanted(b->follow, job);
}

static void hear_job(struct neighbours *n, const char *job, int64_t what)
{
	struct backend *b = n->b;

	if (what == STORE_NOTICE_JOB_QUEUED)
		queue_heard(b->queue, 1);
	if (what == STORE_NOTICE_JOB_CLAIMED)
		queue_heard(b->queue, -1);
	if (what == STORE_NOTICE_JOB_CLAIMED || job_concerns_us(b, job))
		neighbours_read_job(n, job);
	if (what == STORE_NOTICE_JOB_ENDED)
		stream_hub_job_ended(streams_hub(b->streams), job);
}

/* --- sessions and keys ---------------------------------------------------- */

static void on_session(int r, const struct store_result *result, void *ctx)
{
	struct neighbours *n = ctx;

	if (r == 0)
		session_changed(n->b, &result->session);
}

static void hear_session(struct neighbours *n, const char *id, bool made)
{
	const struct store_done done = { NULL, on_session, n };

	if (!made && store_session_get(n->b->store, id, done))
		neighbours_look_soon(n);
}

static void on_keys(int r, const struct store_result *result, void *ctx)
{
	struct neighbours *n = ctx;

	if (r == 0 && auth_keys_replace(n->b->auth, result->api_keys.items,
					result->api_keys.n))
		log_error("-", "out of memory: API keys are not up to date");
}

static void hear_keys(struct neighbours *n)
{
	const struct store_done done = { NULL, on_keys, n };

	if (store_api_key_list(n->b->store, done))
		neighbours_look_soon(n);
}

/* --- notices -------------------------------------------------------------- */

static void on_notice(void *ctx, const char *kind, const char *id,
		      int64_t number)
{
	const struct follow_event grown = { .job_json = NULL };
	struct neighbours *n = ctx;

	if (n->stopped)
		return;
	if (!strcmp(kind, STORE_NOTICE_JOB))
		hear_job(n, id, number);
	else if (!strcmp(kind, STORE_NOTICE_LOG))
		follow_publish(n->b->follow, id, &grown);
	else if (!strcmp(kind, STORE_NOTICE_STREAM))
		stream_hub_heard(streams_hub(n->b->streams), id);
	else if (!strcmp(kind, STORE_NOTICE_VARIABLE))
		change_hub_heard(n->b->changes, number);
	else if (!strcmp(kind, STORE_NOTICE_API_KEY))
		hear_keys(n);
	else if (!strcmp(kind, STORE_NOTICE_AGENT))
		neighbours_read_agents(n);
	else if (!strcmp(kind, STORE_NOTICE_SESSION))
		hear_session(n, id, number == STORE_NOTICE_SESSION_MADE);
}

/* --- looking at everything ------------------------------------------------ */

static void look_at_live(struct live_execution *x, void *ctx)
{
	neighbours_read_job(ctx, x->job);
}

static void look_at_followed(const char *job, void *ctx)
{
	const struct follow_event grown = { .job_json = NULL };
	struct neighbours *n = ctx;

	neighbours_read_job(n, job);
	follow_publish(n->b->follow, job, &grown);
}

/* What is claimed and is not known here; what is known is read one by one. */
static void on_claimed(int r, const struct store_result *result, void *ctx)
{
	struct neighbours *n = ctx;

	if (r) {
		neighbours_look_soon(n);
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++)
		if (!live_find(n->b->live, result->jobs.items[i].execution))
			neighbours_read_job(n, result->jobs.items[i].id);
}

static void look_at_state(struct neighbours *n, enum job_state state)
{
	const struct store_job_query query = {
		.state = (int)state,
		.limit = STORE_LIST_MAX,
	};
	const struct store_done done = { NULL, on_claimed, n };

	if (store_job_list(n->b->store, &query, done))
		neighbours_look_soon(n);
}

/* What nobody may have told, because the one that had to has died. */
static void look_at_times(struct neighbours *n)
{
	queue_expire_now(n->b->queue);
	queue_recount(n->b->queue);
	retries_look(n->b->retries);
	orphans_look(n->b);
	neighbours_read_agents(n);
}

static void on_gap(void *ctx)
{
	struct neighbours *n = ctx;

	if (n->stopped)
		return;
	log_info("-", "looking at what other backends have done");
	look_at_state(n, JOB_CLAIMED);
	look_at_state(n, JOB_RUNNING);
	live_foreach(n->b->live, look_at_live, n);
	follow_foreach(n->b->follow, look_at_followed, n);
	change_hub_heard(n->b->changes, 0);
	stream_hub_heard_all(streams_hub(n->b->streams));
	hear_keys(n);
	waits_wake_all(n->b->waits);
	look_at_times(n);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	look_at_times(ctx);
}

static void on_soon(evutil_socket_t fd, short what, void *ctx)
{
	on_gap(ctx);
}

void neighbours_look_soon(struct neighbours *n)
{
	const struct timeval tv = clock_timeval(NEIGHBOURS_BUSY_MS);

	if (!n->stopped && !event_pending(n->soon, EV_TIMEOUT, NULL))
		event_add(n->soon, &tv);
}

/* --- life ----------------------------------------------------------------- */

int neighbours_new(struct neighbours **out, struct backend *b)
{
	struct neighbours *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->b = b;
	n->look = event_new(b->base, -1, EV_PERSIST, on_look, n);
	n->soon = event_new(b->base, -1, 0, on_soon, n);
	if (!n->look || !n->soon) {
		neighbours_free(n);
		return -ENOMEM;
	}
	*out = n;
	return 0;
}

int neighbours_start(struct neighbours *n)
{
	const struct store_listen_handler handler = { on_notice, on_gap, n };
	const struct timeval tv = clock_timeval(
		MIN(NEIGHBOURS_LOOK_MS, n->b->config->lease_ms / 2 + 1));
	int r;

	if (!n->b->shared)
		return 0;
	r = store_listen_new(&n->listen, n->b->store, n->b->base, &handler);
	if (!r)
		event_add(n->look, &tv);
	return r;
}

void neighbours_stop(struct neighbours *n)
{
	n->stopped = true;
	event_del(n->look);
	event_del(n->soon);
}

void neighbours_free(struct neighbours *n)
{
	if (!n)
		return;
	store_listen_free(n->listen);
	neighbours_forget_all(n);
	if (n->look)
		event_free(n->look);
	if (n->soon)
		event_free(n->soon);
	free(n);
}
