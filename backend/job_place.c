#include "backend/job_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/backend.h"
#include "backend/job_json.h"
#include "backend/live.h"
#include "backend/neighbours.h"
#include "backend/queue.h"
#include "backend/store_record.h"
#include "common/agent_labels.h"

static void place_count(struct agent *a, void *ctx)
{
	size_t *n = ctx;

	(*n)++;
}

static void place_add(struct agent *a, void *ctx)
{
	struct job_place *p = ctx;

	p->agents[p->place.n++] = (struct waiting_agent){
		.name = a->name,
		.executors = a->executors,
		.away = a->away,
		.slots = a->slots,
		.drained = a->drained,
		.refusing = a->refusing,
		.problem = a->problem,
	};
	p->labels[p->place.n - 1] = a->labels;
}

static void place_count_remote(const struct neighbours_agent *a, void *ctx)
{
	size_t *n = ctx;

	(*n)++;
}

static void place_add_remote(const struct neighbours_agent *a, void *ctx)
{
	struct job_place *p = ctx;

	p->labels[p->place.n] = a->labels;
	p->agents[p->place.n++] = (struct waiting_agent){
		.name = a->name,
		.executors = a->executors,
		.away = a->away,
		.slots = (size_t)a->slots,
		.drained = a->drained,
		.refusing = !a->accepting,
		.problem = a->problem,
	};
}

static void place_add_lease(struct live_execution *x, void *ctx)
{
	struct job_place *p = ctx;

	for (size_t i = 0; i < p->place.n; i++)
		if (!strcmp(p->agents[i].name, x->agent))
			p->agents[i].leases++;
}

int job_place_init(struct job_place *p, const struct backend *b)
{
	size_t n = 0;

	queue_foreach_agent(b->queue, place_count, &n);
	neighbours_foreach_agent(b->neighbours, place_count_remote, &n);
	*p = (struct job_place){
		.agents = calloc(n + 1, sizeof(*p->agents)),
		.labels = calloc(n + 1, sizeof(*p->labels)),
	};
	if (!p->agents || !p->labels) {
		job_place_deinit(p);
		return -ENOMEM;
	}
	p->place.agents = p->agents;
	p->place.problem = queue_problem(b->queue);
	queue_foreach_agent(b->queue, place_add, p);
	neighbours_foreach_agent(b->neighbours, place_add_remote, p);
	live_foreach(b->live, place_add_lease, p);
	return 0;
}

void job_place_deinit(struct job_place *p)
{
	free(p->agents);
	free(p->labels);
}

void job_place_explain(struct job_place *p, const struct store_job *job,
		       struct waiting *out)
{
	const char *wanted = job->want_labels ? job->want_labels : "";

	for (size_t i = 0; i < p->place.n; i++)
		p->agents[i].labelled = agent_labels_within(wanted,
							    p->labels[i]);
	waiting_explain(job, &p->place, out);
}

/* FNV-1a */
static uint64_t digest_add(uint64_t digest, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
	return digest;
}

static uint64_t digest_add_str(uint64_t digest, const char *s)
{
	return digest_add(digest, s ? s : "", s ? strlen(s) + 1 : 1);
}

uint64_t job_place_digest(const struct job_place *p)
{
	uint64_t digest = digest_add_str(UINT64_C(0xcbf29ce484222325),
					 p->place.problem);

	for (size_t i = 0; i < p->place.n; i++) {
		const struct waiting_agent *a = &p->agents[i];
		const uint8_t flags[] = { a->drained, a->refusing,
					  a->leases < a->slots };

		digest = digest_add_str(digest, a->name);
		digest = digest_add_str(digest, a->executors);
		digest = digest_add_str(digest, a->away);
		digest = digest_add_str(digest, p->labels[i]);
		digest = digest_add(digest, flags, sizeof(flags));
		digest = digest_add(digest, &a->slots, sizeof(a->slots));
	}
	return digest;
}

int job_waiting(const struct backend *b, const struct store_job *job,
		struct waiting *out)
{
	struct job_place p;
	int r = job_place_init(&p, b);

	if (r)
		return r;
	job_place_explain(&p, job, out);
	job_place_deinit(&p);
	return 0;
}

json_t *job_place_json(const struct backend *b, const struct store_job *job)
{
	struct waiting w;

	if (job->state != JOB_QUEUED)
		return job_json(job, NULL);
	return job_waiting(b, job, &w) ? NULL : job_json(job, &w);
}
