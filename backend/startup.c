#include "backend/startup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/auth.h"
#include "backend/backend.h"
#include "backend/key_loss.h"
#include "backend/live.h"
#include "backend/orphans.h"
#include "backend/queue.h"
#include "backend/retries.h"
#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "backend/waits.h"
#include "common/fail_point.h"
#include "common/id.h"

/* The steps, in their order; STARTUP_LIVE is repeated for further pages and
 * for each state. */
enum startup_step {
	STARTUP_GRACE, /* agents get time to come back */
	STARTUP_CLAIMED,
	STARTUP_RUNNING,
	STARTUP_KEYS,
	STARTUP_COUNT,
	STARTUP_DONE,
};

struct startup {
	struct backend *b;
	void (*done)(struct backend *b, const char *why);
	enum startup_step step;
	char before[ID_MAX_BYTES]; /* of the list of jobs; "" at first */
};

static int startup_next(struct startup *s);

static void startup_finish(struct startup *s, const char *why)
{
	s->done(s->b, why);
	free(s);
}

static int startup_take_jobs(struct startup *s,
			     const struct store_result *result)
{
	for (size_t i = 0; i < result->jobs.n; i++) {
		const struct store_job *job = &result->jobs.items[i];

		if (live_update(s->b->live, job))
			return -ENOMEM;
		snprintf(s->before, sizeof(s->before), "%s", job->id);
	}
	if (!result->jobs.more) {
		s->before[0] = '\0';
		s->step++;
	}
	return 0;
}

static int startup_take_keys(struct startup *s,
			     const struct store_result *result)
{
	s->step++;
	for (size_t i = 0; i < result->api_keys.n; i++)
		if (auth_key_add(s->b->auth, &result->api_keys.items[i]))
			return -ENOMEM;
	return 0;
}

static int startup_take(struct startup *s, const struct store_result *result)
{
	switch (s->step) {
	case STARTUP_CLAIMED:
	case STARTUP_RUNNING:
		return startup_take_jobs(s, result);
	case STARTUP_KEYS:
		return startup_take_keys(s, result);
	case STARTUP_COUNT:
		key_loss_warn(&s->b->keys, result->counts);
		queue_start(s->b->queue, result->counts[JOB_QUEUED]);
		orphans_start(s->b);
		retries_start(s->b->retries);
		waits_start(s->b->waits);
		break;
	default:
		break;
	}
	s->step++;
	return 0;
}

static void on_step(int r, const struct store_result *result, void *ctx)
{
	struct startup *s = ctx;

	if (r) {
		startup_finish(s, result->message);
		return;
	}
	r = startup_take(s, result);
	FAIL_POINT("backend.startup.step");
	if (!r && s->step == STARTUP_DONE)
		startup_finish(s, NULL);
	else if (r || (r = startup_next(s)))
		startup_finish(s, strerror(-r));
}

static int startup_list(struct startup *s, enum job_state state)
{
	const struct store_job_query query = {
		.state = (int)state,
		.before = *s->before ? s->before : NULL,
		.limit = STORE_LIST_MAX,
	};

	return store_job_list(s->b->store, &query,
			      (struct store_done){ NULL, on_step, s });
}

static int startup_next(struct startup *s)
{
	const struct store_done done = { NULL, on_step, s };

	switch (s->step) {
	case STARTUP_GRACE:
		return store_queue_grace(s->b->store,
					 (int64_t)s->b->config->lease_ms, done);
	case STARTUP_CLAIMED:
		return startup_list(s, JOB_CLAIMED);
	case STARTUP_RUNNING:
		return startup_list(s, JOB_RUNNING);
	case STARTUP_KEYS:
		return store_api_key_list(s->b->store, done);
	default:
		return store_job_count(s->b->store, done);
	}
}

int startup_run(struct backend *b,
		void (*done)(struct backend *b, const char *why))
{
	struct startup *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->b = b;
	s->done = done;
	r = startup_next(s);
	if (r)
		free(s);
	return r;
}
