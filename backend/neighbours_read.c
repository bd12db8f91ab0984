/* Reading what another backend has written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "backend/agent.h"
#include "backend/backend.h"
#include "backend/job_change.h"
#include "backend/live.h"
#include "backend/neighbours_impl.h"
#include "backend/queue.h"
#include "backend/store_agent.h"
#include "backend/store_job.h"
#include "backend/store_runtime.h"
#include "backend/waits.h"
#include "common/agent_labels.h"
#include "common/clock.h"
#include "common/log.h"

/* --- jobs ----------------------------------------------------------------- */

/* One that is being read; at most one read at a time of each. */
struct neighbours_read {
	struct neighbours *n;
	char job[ID_MAX_BYTES];
	bool again; /* something happened since the read was begun */
	UT_hash_handle hh;
};

static struct neighbours_read *read_find(const struct neighbours *n,
					 const char *job)
{
	struct neighbours_read *read;

	HASH_FIND_STR(n->reads, job, read);
	return read;
}

static void read_forget(struct neighbours_read *read)
{
	HASH_DEL(read->n->reads, read);
	free(read);
}

static void on_read(int r, const struct store_result *result, void *ctx);

static void read_begin(struct neighbours_read *read)
{
	const struct store_done done = { NULL, on_read, read };

	read->again = false;
	if (!store_job_get(read->n->b->store, read->job, done))
		return;
	neighbours_look_soon(read->n);
	read_forget(read);
}

static void on_read(int r, const struct store_result *result, void *ctx)
{
	struct neighbours_read *read = ctx;
	struct neighbours *n = read->n;

	if (read->again && !n->stopped) {
		read_begin(read);
		return;
	}
	read_forget(read);
	if (r < 0)
		neighbours_look_soon(n);
	if (r == 0 && !n->stopped)
		job_heard(n->b, &result->job);
}

void neighbours_read_job(struct neighbours *n, const char *job)
{
	struct neighbours_read *read = read_find(n, job);

	if (read) {
		read->again = true;
		return;
	}
	read = calloc(1, sizeof(*read));
	if (!read) {
		neighbours_look_soon(n);
		return;
	}
	read->n = n;
	snprintf(read->job, sizeof(read->job), "%s", job);
	HASH_ADD_STR(n->reads, job, read);
	if (read->hh.tbl) {
		read_begin(read);
		return;
	}
	free(read);
	neighbours_look_soon(n);
}

void neighbours_job_changed(struct neighbours *n, const struct store_job *job)
{
	struct neighbours_read *read = read_find(n, job->id);

	if (read)
		read->again = true;
}

/* --- executions ----------------------------------------------------------- */

/* A call of its own, which outlives the one that asked. */
struct neighbours_question {
	struct neighbours *n;
	char execution[ID_MAX_BYTES];
};

void neighbours_execution_ended(struct neighbours *n, const char *execution)
{
	snprintf(n->ended[n->n_ended++ % NEIGHBOURS_ENDED_MAX], ID_MAX_BYTES,
		 "%s", execution);
}

static void on_execution(int r, const struct store_result *result, void *ctx)
{
	struct neighbours_question *q = ctx;
	struct neighbours *n = q->n;

	if (r == STORE_E_NOT_FOUND || r == STORE_E_ENDED)
		neighbours_execution_ended(n, q->execution);
	else if (r == 0 && !n->stopped)
		neighbours_read_job(n, result->job.id);
	free(q);
}

static bool execution_has_ended(const struct neighbours *n,
				const char *execution)
{
	for (size_t i = 0; i < MIN(n->n_ended, NEIGHBOURS_ENDED_MAX); i++)
		if (!strcmp(n->ended[i], execution))
			return true;
	return false;
}

bool neighbours_may_live(struct neighbours *n, const char *execution)
{
	struct neighbours_question *q;

	if (!n->b->shared || execution_has_ended(n, execution))
		return false;
	q = calloc(1, sizeof(*q));
	if (!q)
		return true;
	q->n = n;
	snprintf(q->execution, sizeof(q->execution), "%s", execution);
	if (store_execution_get(n->b->store, execution,
				(struct store_done){ NULL, on_execution, q }))
		free(q);
	return true;
}

/* --- agents --------------------------------------------------------------- */

struct neighbours_copy {
	struct neighbours_agent agent; /* points into the rest */
	char name[AGENT_NAME_MAX_BYTES + 1];
	char executors[EXECUTOR_LIST_MAX_BYTES];
	char away[EXECUTOR_LIST_MAX_BYTES];
	char labels[AGENT_LABELS_MAX_BYTES];
	char problem[AGENT_STATUS_PROBLEM_MAX_BYTES + 1];
};

static void agent_copy(struct neighbours_copy *copy,
		       const struct store_agent *a)
{
	snprintf(copy->name, sizeof(copy->name), "%s", a->name);
	snprintf(copy->executors, sizeof(copy->executors), "%s", a->executors);
	snprintf(copy->away, sizeof(copy->away), "%s",
		 agent_status_away(a->code));
	snprintf(copy->labels, sizeof(copy->labels), "%s", a->labels);
	snprintf(copy->problem, sizeof(copy->problem), "%s",
		 a->problem ? a->problem : "");
	copy->agent = (struct neighbours_agent){
		.name = copy->name,
		.executors = copy->executors,
		.away = copy->away,
		.labels = copy->labels,
		.problem = copy->problem,
		.slots = a->slots,
		.running = a->running,
		.drained = a->drained,
		.accepting = a->accepting,
	};
}

/* With another backend, and heard of lately. */
static bool agent_is_elsewhere(const struct neighbours *n,
			       const struct store_agent *a, int64_t now_ms)
{
	return a->backend && strcmp(a->backend, n->b->instance) != 0 &&
	       a->seen_ms > now_ms - STORE_AGENT_SILENT_MS;
}

static void agents_take(struct neighbours *n, const struct store_result *result)
{
	int64_t now_ms = store_now_ms(n->b->store);
	struct neighbours_copy *copies = calloc(result->agents.n + 1,
						sizeof(*copies));

	if (!copies)
		return;
	free(n->agents);
	n->agents = copies;
	n->n_agents = 0;
	for (size_t i = 0; i < result->agents.n; i++) {
		const struct store_agent *a = &result->agents.items[i];

		if (agent_is_elsewhere(n, a, now_ms)) {
			agent_copy(&copies[n->n_agents++], a);
			queue_agent_moved(n->b->queue, a);
		} else {
			queue_agent_changed(n->b->queue, a);
		}
	}
	waits_wake(n->b->waits);
}

static void on_agents(int r, const struct store_result *result, void *ctx)
{
	struct neighbours *n = ctx;

	n->reading_agents = false;
	if (n->stopped)
		return;
	if (n->agents_again)
		neighbours_read_agents(n);
	else if (r == 0)
		agents_take(n, result);
}

void neighbours_read_agents(struct neighbours *n)
{
	const struct store_done done = { NULL, on_agents, n };

	n->agents_again = n->reading_agents;
	if (!n->reading_agents)
		n->reading_agents = !store_agent_list(n->b->store, done);
}

void neighbours_foreach_agent(const struct neighbours *n,
			      void (*fn)(const struct neighbours_agent *a,
					 void *ctx),
			      void *ctx)
{
	for (size_t i = 0; i < n->n_agents; i++)
		fn(&n->agents[i].agent, ctx);
}

void neighbours_forget_all(struct neighbours *n)
{
	struct neighbours_read *read, *tmp;

	HASH_ITER(hh, n->reads, read, tmp)
	read_forget(read);
	free(n->agents);
}
