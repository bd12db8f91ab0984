#include "backend/session_change.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/backend.h"
#include "backend/job_change.h"
#include "backend/live.h"
#include "backend/queue.h"
#include "backend/store_job.h"
#include "backend/waits.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"

/* --- orchestrators ------------------------------------------------------- */

static void session_tell_agent(struct agent *a, void *ctx)
{
	const struct buf *event = ctx;

	if (agent_send(a, FRAME_EVENT, event->data, event->len))
		log_warn(a->name, "out of memory: it was not told of a "
				  "session");
}

static void session_tell_agents(struct backend *b,
				const struct store_session *s, const char *type)
{
	_cleanup_json_ json_t *o = json_pack("{s:s,s:s,s:s}", "type", type,
					     "session", s->id, "name", s->name);
	struct buf event = { 0 };

	if (o && !json_append(&event, o))
		queue_foreach_agent(b->queue, session_tell_agent, &event);
	buf_deinit(&event);
}

/* --- what runs ----------------------------------------------------------- */

struct session_cancel {
	struct backend *b;
	const struct store_session *session;
	char reason[SESSION_END_REASON_BYTES];
};

/* The store has flagged it already: a heartbeat would cancel it as well. */
static void session_cancel_one(struct live_execution *x, void *ctx)
{
	const struct session_cancel *c = ctx;
	struct agent *a = queue_agent(c->b->queue, x->agent);

	if (strcmp(x->session, c->session->id) != 0 || x->cancel_requested)
		return;
	x->cancel_requested = true;
	x->cancel_reason = strdup(c->reason);
	if (a && agent_send_cancel(a, x))
		log_warn(x->id, "out of memory: a heartbeat will cancel it");
}

static void session_cancel_live(struct backend *b,
				const struct store_session *s)
{
	struct session_cancel c = { b, s, "" };

	session_end_reason(s->name, s->reason, c.reason);
	live_foreach(b->live, session_cancel_one, &c);
}

/* --- what waited --------------------------------------------------------- */

/* Goes through the jobs that were cancelled with their session, a page in a
 * turn of the loop: whoever waits for one of them is told. */
struct session_walk {
	struct backend *b;
	char session[ID_MAX_BYTES], before[ID_MAX_BYTES];
	int64_t ended_ms;
};

static void session_walk_next(struct session_walk *w);

static void session_walk_end(struct session_walk *w)
{
	queue_recount(w->b->queue);
	free(w);
}

/* An end state never changes: it cannot be an old one that was read. */
static void on_walked(int r, const struct store_result *result, void *ctx)
{
	struct session_walk *w = ctx;

	if (r) {
		log_error(w->session,
			  "those who wait for its jobs were not "
			  "told of their end: %s",
			  result->message);
		session_walk_end(w);
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++) {
		const struct store_job *job = &result->jobs.items[i];

		if (job->ended_ms == w->ended_ms)
			job_changed(w->b, job);
		snprintf(w->before, sizeof(w->before), "%s", job->id);
	}
	if (result->jobs.more)
		session_walk_next(w);
	else
		session_walk_end(w);
}

static void session_walk_next(struct session_walk *w)
{
	const struct store_job_query query = {
		.state = JOB_CANCELLED,
		.session = w->session,
		.before = *w->before ? w->before : NULL,
		.limit = STORE_LIST_MAX,
	};
	const struct store_done done = { NULL, on_walked, w };
	int r = store_job_list(w->b->store, &query, done);

	if (!r)
		return;
	log_error(w->session,
		  "those who wait for its jobs were not told of their end: %s",
		  strerror(-r));
	session_walk_end(w);
}

static void session_walk(struct backend *b, const struct store_session *s)
{
	struct session_walk *w = calloc(1, sizeof(*w));

	if (!w) {
		log_error(s->id, "those who wait for its jobs were not told of "
				 "their end: out of memory");
		return;
	}
	w->b = b;
	w->ended_ms = s->ended_ms;
	snprintf(w->session, sizeof(w->session), "%s", s->id);
	session_walk_next(w);
}

/* --- changes ------------------------------------------------------------- */

static void session_log(const struct store_session *s, const char *what)
{
	log_info(s->id, "session %s %s%s%s queued=%" PRId64 " running=%" PRId64,
		 s->name, what, s->reason ? ": " : "",
		 s->reason ? s->reason : "", s->queued, s->running);
}

void session_made(struct backend *b, const struct store_session *s)
{
	session_log(s, "created");
	session_tell_agents(b, s, "session_created");
}

void session_changed(struct backend *b, const struct store_session *s)
{
	static const struct {
		const char *what, *event;
	} words[SESSION_STATES] = {
		[SESSION_ACTIVE] = { "resumed", "session_resumed" },
		[SESSION_PAUSED] = { "paused", "session_paused" },
		[SESSION_ENDED] = { "ended", "session_ended" },
	};

	session_log(s, words[s->state].what);
	session_tell_agents(b, s, words[s->state].event);
	waits_wake_all(b->waits);
	if (s->state == SESSION_ENDED) {
		session_cancel_live(b, s);
		session_walk(b, s);
	} else {
		queue_recount(b->queue);
	}
}
