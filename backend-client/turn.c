#include "backend-client/client_state.h"
#include "common/clock.h"

#define CLIENT_POOL_MAX 64
#define CLIENT_ALARM_MIN_MS 2 /* granularity of deadlines */

void client_schedule_turn(struct backend_client *c)
{
	if (!c->in_turn)
		event_active(&c->turn, EV_TIMEOUT, 0);
}

/* --- time ---------------------------------------------------------------- */

void client_watch(struct backend_client *c, uint64_t at_ms, uint64_t now_ms)
{
	uint64_t wait = at_ms > now_ms ? at_ms - now_ms : 0;
	struct timeval tv;

	if (!at_ms || (c->alarm_ms && c->alarm_ms <= at_ms))
		return;
	wait = MAX(wait, CLIENT_ALARM_MIN_MS);
	tv = clock_timeval(wait);
	c->alarm_ms = now_ms + wait;
	event_add(&c->alarm, &tv);
}

uint64_t client_time_min(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return MIN(a, b);
}

/* --- the turn ------------------------------------------------------------ */

void client_put_back(struct backend_client *c, struct backend_call *call)
{
	TAILQ_REMOVE(&c->all, call, all);
	call_recycle(call);
	TAILQ_INSERT_HEAD(&c->pool, call, all);
	c->n_pool++;
}

/* Tells those that have ended by now. What ends in reply to that, such as a
 * call made again while the breaker is open, waits for the next turn of the
 * loop: others have to get on as well. */
static void client_deliver(struct backend_client *c)
{
	struct backend_call *call;
	size_t n = 0;

	TAILQ_FOREACH(call, &c->ended, link)
		n++;
	for (; n && !c->dead && (call = TAILQ_FIRST(&c->ended)); n--) {
		struct backend_response r;

		TAILQ_REMOVE(&c->ended, call, link);
		call_response(call, &r);
		call->client = NULL; /* cancelling it now has no effect */
		if (call->ops.on_done)
			call->ops.on_done(call, &r, call->ctx);
		client_put_back(c, call);
	}
}

static void client_trim_pool(struct backend_client *c)
{
	while (c->n_pool > CLIENT_POOL_MAX) {
		struct backend_call *call = TAILQ_FIRST(&c->pool);

		TAILQ_REMOVE(&c->pool, call, all);
		call_free(call);
		c->n_pool--;
	}
}

void client_turn(struct backend_client *c)
{
	static const struct timeval soon = { 0, 0 };

	c->in_turn = true;
	client_deliver(c);
	if (!c->dead) {
		client_connect(c);
		client_dispatch(c);
	}
	c->in_turn = false;
	if (c->dead) {
		client_destroy(c);
		return;
	}
	if (!TAILQ_EMPTY(&c->ended))
		event_add(&c->turn, &soon);
	if (c->retiring)
		client_free_retired(c);
	client_trim_pool(c);
}

void client_on_turn(evutil_socket_t fd, short what, void *arg)
{
	client_turn(arg);
}

/* --- deadlines ----------------------------------------------------------- */

static void call_deadline_passed(struct backend_call *call)
{
	struct backend_client *c = call->client;

	if (call->place == CALL_SENT) {
		client_conn_reset(&call->stream);
		if (!call->streamed)
			breaker_failure(&c->breaker, clock_mono_ms());
		call->trial = false;
		call_end(call, BACKEND_E_DEADLINE,
			 "the backend did not answer in time");
	} else if (call->error) { /* of the last attempt */
		call_end(call, call->error, call->detail);
	} else if (!c->ready_ms && c->why[0]) {
		call_end(call, BACKEND_E_UNREACHABLE, c->why);
	} else {
		call_end(call, BACKEND_E_DEADLINE, NULL);
	}
}

static void call_step_due(struct backend_call *call, uint64_t now)
{
	if (call->deadline_ms && now >= call->deadline_ms) {
		call_deadline_passed(call);
		return;
	}
	if (call->place == CALL_DELAYED) {
		call_wait(call);
		return;
	}
	if (call->place == CALL_SENT) {
		client_conn_reset(&call->stream);
		call_attempt_failed(call, RETRY_TIMEOUT, BACKEND_E_DEADLINE,
				    "the backend did not answer in time");
	}
}

void client_on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct backend_client *c = arg;
	uint64_t now = clock_mono_ms(), next = 0;
	struct backend_call *call;

	c->alarm_ms = 0;
	TAILQ_FOREACH(call, &c->all, all) {
		if (call->wake_ms && now >= call->wake_ms)
			call_step_due(call, now);
		next = client_time_min(next, call->wake_ms);
	}
	client_watch(c, next, now);
	client_turn(c);
}
