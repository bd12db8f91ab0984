#include "backend/queue.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/api.h"
#include "backend/assign.h"
#include "backend/job_change.h"
#include "backend/live.h"
#include "backend/metrics.h"
#include "backend/queue_impl.h"
#include "backend/store_job.h"
#include "backend/waits.h"
#include "common/clock.h"
#include "common/fail_point.h"
#include "common/id.h"
#include "common/log.h"

/* A jump of the clock by so much of a lease is more than drift. */
#define QUEUE_JUMP_PER_LEASE 4
/* After so many leases every backend has seen it, and every agent was heard. */
#define QUEUE_JUMP_LEASES 2

/* One store_queue_claim() under way; the agent may be gone when it is done. */
struct queue_claim {
	struct queue *q;
	char agent[AGENT_NAME_MAX_BYTES + 1];
	uint64_t turn;
};

static void queue_pump(struct queue *q);
static void queue_arm_expire(struct queue *q, int64_t in_ms);

/* --- claiming ------------------------------------------------------------ */

static void on_given_back(int r, const struct store_result *result, void *ctx)
{
	struct backend *b = ctx;

	if (r == 0)
		job_changed(b, &result->job);
	/* Otherwise its lease will end it. */
}

static void queue_give_back(struct queue *q, const struct store_job *job,
			    const char *why)
{
	const struct store_give_back give = {
		.lease = { job->execution, job->epoch },
	};
	const struct store_done done = { NULL, on_given_back, q->b };

	log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
		  "execution=%s goes back to the queue: %s", job->execution,
		  why);
	if (store_queue_give_back(q->b->store, &give, done))
		log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
			  "the store is busy: the lease will run out");
}

/* Its host was removed after it was submitted. */
static void queue_fail_hostless(struct queue *q, const struct store_job *job)
{
	char reason[QUEUE_PROBLEM_BYTES];
	const struct store_complete complete = {
		.lease = { job->execution, job->epoch },
		.state = JOB_FAILED,
		.reason = reason,
	};
	const struct store_done done = { NULL, on_given_back, q->b };

	snprintf(reason, sizeof(reason),
		 "there is no host %s any more: it was removed after the job "
		 "was submitted",
		 job->host);
	if (store_queue_complete(q->b->store, &complete, done))
		log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
			  "the store is busy: the lease will run out");
}

static int queue_send(struct queue *q, struct agent *a,
		      const struct store_result *claim)
{
	const struct assign_config config = {
		.key = q->b->keys.signing,
		.public_pem = (const char *)q->b->public_pem.data,
		.payload_key = (const char *)q->b->payload_key.data,
		.backend = q->b->config,
	};
	struct buf frames = { 0 };
	int r = assign_append(&frames, &config, claim, clock_wall_s());

	if (!r)
		agent_send_frames(a, &frames);
	FAIL_POINT("backend.claim.sent");
	buf_deinit_secret(&frames);
	return r;
}

static void queue_claimed(struct queue *q, struct agent *a,
			  const struct store_result *result)
{
	const struct store_job *job = &result->job;

	metrics_claim(q->b->metrics, job->claimed_ms - job->created_ms);
	job_changed(q->b, job);
	queue_arm_expire(q, (int64_t)q->b->config->lease_ms);
	if (!a || q->stopped)
		queue_give_back(q, job, "the agent went away");
	else if (job->host && !result->claim.host)
		queue_fail_hostless(q, job);
	else if (queue_send(q, a, result))
		queue_give_back(q, job, "out of memory");
}

static void on_claim(int r, const struct store_result *result, void *ctx)
{
	struct queue_claim *c = ctx;
	struct queue *q = c->q;
	struct agent *a = queue_agent(q, c->agent);

	if (a && a->pending > 0)
		a->pending--;
	if (r == 0 && a)
		a->burst = MIN(2 * a->burst, QUEUE_CLAIMS_AT_ONCE);
	if (r == 0) {
		queue_claimed(q, a, result);
	} else if (a) {
		a->dry = c->turn;
		a->burst = 1;
	}
	q->problem[0] = '\0';
	if (r < 0) {
		snprintf(q->problem, sizeof(q->problem), "%s", result->message);
		log_error(c->agent, "cannot claim: %s", q->problem);
	}
	waits_wake(q->b->waits);
	free(c);
	queue_pump(q);
}

static int queue_claim(struct queue *q, struct agent *a)
{
	struct queue_claim *c = calloc(1, sizeof(*c));
	char execution[ID_MAX_BYTES];
	const struct store_claim claim = {
		.execution = execution,
		.agent = a->name,
		.executors = a->able,
		.labels = a->labels,
		.lease_ms = (int64_t)q->b->config->lease_ms,
	};
	int r;

	if (!c)
		return -ENOMEM;
	c->q = q;
	c->turn = q->turn;
	snprintf(c->agent, sizeof(c->agent), "%s", a->name);
	id_new("ex", execution);
	r = store_queue_claim(q->b->store, &claim,
			      (struct store_done){ NULL, on_claim, c });
	if (r) {
		free(c);
		return r;
	}
	a->pending++;
	a->served = ++q->claims;
	return 0;
}

/* Leases that it has or will have. */
static size_t queue_agent_load(const struct queue *q, const struct agent *a)
{
	return live_count_agent(q->b->live, a->name) + a->pending;
}

static bool queue_agent_ready(const struct queue *q, const struct agent *a)
{
	return !a->drained && !a->refusing && *a->able && !a->full &&
	       a->dry != q->turn && a->pending < a->burst &&
	       queue_agent_load(q, a) < a->slots;
}

/* The least loaded of those that can take a job; of equals the one that was
 * not served for longest. NULL: there is none. */
static struct agent *queue_choose(const struct queue *q)
{
	struct agent *best = NULL;
	size_t load = 0;

	for (struct agent *a = q->agents; a; a = a->hh.next) {
		size_t n = queue_agent_load(q, a);

		if (!queue_agent_ready(q, a))
			continue;
		if (best && (n * best->slots > load * a->slots ||
			     (n * best->slots == load * a->slots &&
			      a->served >= best->served)))
			continue;
		best = a;
		load = n;
	}
	return best;
}

static int64_t queue_pending(const struct queue *q)
{
	int64_t n = 0;

	for (const struct agent *a = q->agents; a; a = a->hh.next)
		n += (int64_t)a->pending;
	return n;
}

/* Starts claims, one at a time, as long as jobs wait. */
static void queue_pump(struct queue *q)
{
	struct agent *a;

	while (!q->stopped && queue_pending(q) < MAX(q->queued, 1) &&
	       (a = queue_choose(q)))
		if (queue_claim(q, a))
			break;
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	queue_pump(ctx);
}

void queue_wake(struct queue *q)
{
	event_active(q->wake, EV_TIMEOUT, 0);
	waits_wake(q->b->waits);
}

static void on_counted(int r, const struct store_result *result, void *ctx)
{
	struct queue *q = ctx;

	if (r == 0) /* the held ones, too: they cost a claim in vain */
		q->queued = result->counts[JOB_QUEUED];
	queue_wake(q);
}

void queue_recount(struct queue *q)
{
	const struct store_done done = { NULL, on_counted, q };

	q->turn++;
	queue_wake(q);
	if (store_job_count(q->b->store, done))
		log_warn("queue", "the store is busy: jobs are claimed one by "
				  "one");
}

void queue_heard(struct queue *q, int64_t more)
{
	q->queued = MAX(q->queued + more, 0);
	if (more > 0)
		q->turn++;
	queue_wake(q);
}

void queue_job_heard(struct queue *q, const struct store_job *job)
{
	const struct live_execution *x =
		job->execution ? live_find(q->b->live, job->execution) : NULL;
	struct agent *a = x && x->cancel_requested ? queue_agent(q, x->agent)
						   : NULL;

	if (a && agent_send_cancel(a, x))
		log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
			  "out of memory: a heartbeat will cancel it");
	queue_wake(q);
}

void queue_job_changed(struct queue *q, const struct store_job *job)
{
	switch (job->state) {
	case JOB_QUEUED: /* or once more */
		if (!job->not_before_ms && !job->held)
			q->queued++;
		q->turn++;
		break;
	case JOB_CLAIMED:
		if (!job->cancel_requested)
			q->queued = MAX(q->queued - 1, 0);
		break;
	case JOB_CANCELLED:
	case JOB_FAILED:
		if (!job->execution)
			q->queued = MAX(q->queued - 1, 0);
		break;
	default:
		break;
	}
	queue_job_heard(q, job);
}

/* --- leases -------------------------------------------------------------- */

static int64_t queue_ahead_ms(const struct queue *q)
{
	return store_now_ms(q->b->store) - clock_steady_ms();
}

/*
 * The time by which leases end. Where the store's clock was put forward, or
 * ours stood still while this machine slept, agents had no time to be heard,
 * and other backends may not know it yet: until they have all been, it is what
 * it was.
 */
static int64_t queue_lease_now_ms(struct queue *q)
{
	const int64_t lease_ms = (int64_t)q->b->config->lease_ms;
	int64_t ahead_ms = queue_ahead_ms(q), jump_ms = ahead_ms - q->ahead_ms;
	uint64_t now_ms = clock_mono_ms();

	q->ahead_ms = ahead_ms;
	if (now_ms >= q->jump_until_ms)
		q->jump_ms = 0;
	if (jump_ms >= lease_ms / QUEUE_JUMP_PER_LEASE) {
		log_warn("queue",
			 "the database's clock is %lld ms further ahead than "
			 "before: no lease ends for that",
			 (long long)jump_ms);
		q->jump_ms += jump_ms;
		q->jump_until_ms = now_ms + QUEUE_JUMP_LEASES * lease_ms;
	}
	return store_now_ms(q->b->store) - q->jump_ms;
}

static void on_expired(int r, const struct store_result *result, void *ctx)
{
	struct queue *q = ctx;
	int64_t lease_ms = (int64_t)q->b->config->lease_ms;

	q->expiring = false;
	if (r) {
		log_error("queue", "cannot end leases: %s", result->message);
		queue_arm_expire(q, lease_ms);
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++) {
		log_write(LOG_LEVEL_WARN, result->jobs.items[i].id,
			  result->jobs.items[i].trace_id,
			  "the lease of %s ran out",
			  result->jobs.items[i].execution);
		job_changed(q->b, &result->jobs.items[i]);
	}
	if (result->jobs.n == STORE_LIST_MAX)
		queue_arm_expire(q, 0);
	else if (result->jobs.next_ms)
		queue_arm_expire(q,
				 result->jobs.next_ms - queue_lease_now_ms(q));
}

static void on_expire(evutil_socket_t fd, short what, void *ctx)
{
	struct queue *q = ctx;
	const struct store_done done = { NULL, on_expired, q };

	if (q->expiring)
		return;
	if (store_queue_expire(q->b->store, queue_lease_now_ms(q), done))
		queue_arm_expire(q, (int64_t)q->b->config->lease_ms);
	else
		q->expiring = true;
}

void queue_expire_now(struct queue *q)
{
	event_del(q->expire);
	queue_arm_expire(q, 0);
}

/* Leases are only ever extended, or the caller says queue_expire_now(): an
 * earlier timer is never wrong, and asks the store for the next time. */
static void queue_arm_expire(struct queue *q, int64_t in_ms)
{
	struct timeval tv;

	if (event_pending(q->expire, EV_TIMEOUT, NULL))
		return;
	tv = clock_timeval((uint64_t)MAX(in_ms, QUEUE_EXPIRE_MIN_MS));
	event_add(q->expire, &tv);
}

/* Also looks for work that an earlier failure of the store left behind. */
static void on_heartbeat(evutil_socket_t fd, short what, void *ctx)
{
	struct queue *q = ctx;

	for (struct agent *a = q->agents; a; a = a->hh.next)
		if (!a->full && agent_send(a, FRAME_HEARTBEAT, NULL, 0))
			log_warn(a->name, "no heartbeat: out of memory");
	if (q->queued > 0) {
		q->turn++;
		queue_pump(q);
	}
}

const char *queue_problem(const struct queue *q)
{
	return q->problem[0] ? q->problem : NULL;
}

/* --- life ---------------------------------------------------------------- */

int queue_new(struct queue **out, struct backend *b)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->b = b;
	q->turn = 1;
	q->wake = event_new(b->base, -1, 0, on_wake, q);
	q->expire = event_new(b->base, -1, 0, on_expire, q);
	q->heartbeat = event_new(b->base, -1, EV_PERSIST, on_heartbeat, q);
	if (!q->wake || !q->expire || !q->heartbeat) {
		queue_free(q);
		return -ENOMEM;
	}
	*out = q;
	return 0;
}

void queue_start(struct queue *q, int64_t queued)
{
	const struct timeval tv = clock_timeval(FRAME_HEARTBEAT_MS);

	q->queued = queued;
	q->ahead_ms = queue_ahead_ms(q);
	event_add(q->heartbeat, &tv);
	if (live_count(q->b->live))
		queue_arm_expire(q, (int64_t)q->b->config->lease_ms);
}

void queue_stop(struct queue *q)
{
	struct agent *a, *tmp;

	q->stopped = true;
	HASH_ITER(hh, q->agents, a, tmp)
	{
		struct api_call *stream = a->call;

		queue_disconnect(q, a, "the backend stops");
		stream->state = NULL;
		api_stream_end(stream);
	}
}

void queue_free(struct queue *q)
{
	struct agent *a, *tmp;

	if (!q)
		return;
	HASH_ITER(hh, q->agents, a, tmp)
	{
		HASH_DEL(q->agents, a);
		agent_free(a);
	}
	if (q->wake)
		event_free(q->wake);
	if (q->expire)
		event_free(q->expire);
	if (q->heartbeat)
		event_free(q->heartbeat);
	free(q);
}
