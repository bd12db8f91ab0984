/* The agents of the queue: they come, go, and say whether they take jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/api.h"
#include "backend/live.h"
#include "backend/queue_impl.h"
#include "backend/store_agent.h"
#include "backend/store_queue.h"
#include "backend/waits.h"
#include "common/clock.h"
#include "common/log.h"

static void queue_resend_cancel(struct live_execution *x, void *ctx)
{
	struct agent *a = ctx;

	if (x->cancel_requested && agent_send_cancel(a, x))
		log_warn(x->id, "out of memory: a heartbeat will cancel it");
}

static void queue_agent_set(struct queue *q, struct agent *a, bool drained,
			    bool refusing, const char *away)
{
	if (a->drained == drained && a->refusing == refusing &&
	    !strcmp(a->away, away))
		return;
	log_info(a->name, "%s%s%s",
		 drained    ? "drained: takes no new job"
		 : refusing ? "accepts no job"
			    : "takes jobs",
		 *away ? ", without executors=" : "", away);
	a->drained = drained;
	a->refusing = refusing;
	if (away != a->away)
		snprintf(a->away, sizeof(a->away), "%s", away);
	executor_list_without(a->executors, a->away, a->able, sizeof(a->able));
	a->dry = q->turn - 1;
	waits_wake(q->b->waits);
	queue_wake(q);
}

void queue_agent_changed(struct queue *q, const struct store_agent *agent)
{
	struct agent *a = queue_agent(q, agent->name);

	if (a)
		queue_agent_set(q, a, agent->drained, a->refusing, a->away);
}

void queue_agent_accepts(struct queue *q, struct agent *a,
			 const struct store_agent_status *status)
{
	snprintf(a->problem, sizeof(a->problem), "%s",
		 status->problem ? status->problem : "it accepts no jobs");
	queue_agent_set(q, a, a->drained, !status->accepting,
			agent_status_away(status->code));
}

static void on_agent_stored(int r, const struct store_result *result, void *ctx)
{
	struct queue *q = ctx;

	if (r)
		log_warn("queue", "an agent is not on the list: %s",
			 result->message);
	else if (result->agent.name)
		queue_agent_changed(q, &result->agent);
}

/* The store's list of agents follows; nobody waits for it. */
static void queue_store_agent(struct queue *q, const struct agent *a,
			      bool connected)
{
	const struct store_done done = { NULL, on_agent_stored, q };
	const struct store_agent_connect connect = {
		.name = a->name,
		.executors = a->executors,
		.address = a->address,
		.labels = a->labels,
		.backend = q->b->instance,
		.slots = (int64_t)a->slots,
	};
	const struct store_agent_disconnect disconnect = {
		.name = a->name,
		.backend = q->b->instance,
	};
	int r = connected ? store_agent_connect(q->b->store, &connect, done)
			  : store_agent_disconnect(q->b->store, &disconnect,
						   done);

	if (r)
		log_warn(a->name, "the agent is not on the list: %s",
			 strerror(-r));
}

/* A stream that ends the one of the same name. */
static void queue_replace(struct queue *q, const char *name)
{
	struct agent *old = queue_agent(q, name);
	struct api_call *stream = old ? old->call : NULL;

	if (!old)
		return;
	queue_disconnect(q, old, "a new stream of this name");
	stream->state = NULL;
	api_stream_end(stream);
}

void queue_agent_moved(struct queue *q, const struct store_agent *agent)
{
	const struct agent *a = queue_agent(q, agent->name);

	if (a && a->connected_ms < agent->connected_ms)
		queue_replace(q, agent->name);
}

struct agent *queue_connect(struct queue *q, struct api_call *call,
			    const struct agent_hello *hello)
{
	struct agent *a = calloc(1, sizeof(*a));
	const char *name = hello->name;

	if (!a)
		return NULL;
	queue_replace(q, name);
	snprintf(a->name, sizeof(a->name), "%s", name);
	snprintf(a->executors, sizeof(a->executors), "%s", hello->executors);
	snprintf(a->able, sizeof(a->able), "%s", hello->executors);
	snprintf(a->labels, sizeof(a->labels), "%s", hello->labels);
	snprintf(a->address, sizeof(a->address), "%s",
		 call->req->peer->address);
	a->slots = hello->slots;
	a->call = call;
	a->connected_ms = a->heard_ms = clock_wall_ms();
	a->dry = q->turn - 1;
	a->burst = 1;
	HASH_ADD_STR(q->agents, name, a);
	if (!a->hh.tbl) {
		free(a);
		return NULL;
	}
	log_info(a->name,
		 "agent connected slots=%zu executors=%s labels=%s leases=%zu",
		 a->slots, a->executors, *a->labels ? a->labels : "-",
		 live_count_agent(q->b->live, name));
	queue_store_agent(q, a, true);
	/* So that the agent knows at once that it is heard. */
	if (agent_send(a, FRAME_HEARTBEAT, NULL, 0))
		log_warn(a->name, "no heartbeat: out of memory");
	live_foreach_agent(q->b->live, name, queue_resend_cancel, a);
	queue_wake(q);
	return a;
}

void queue_disconnect(struct queue *q, struct agent *a, const char *why)
{
	log_info(a->name, "agent disconnected leases=%zu: %s",
		 live_count_agent(q->b->live, a->name), why);
	queue_store_agent(q, a, false);
	HASH_DEL(q->agents, a);
	agent_free(a);
	waits_agent_gone(q->b->waits);
}

void queue_drained(struct queue *q, struct agent *a)
{
	a->full = false;
	queue_wake(q);
}

struct agent *queue_agent(const struct queue *q, const char *name)
{
	struct agent *a;

	HASH_FIND_STR(q->agents, name, a);
	return a;
}

void queue_foreach_agent(const struct queue *q,
			 void (*fn)(struct agent *a, void *ctx), void *ctx)
{
	for (struct agent *a = q->agents; a; a = a->hh.next)
		fn(a, ctx);
}
