#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "orchestrator/agent_impl.h"
#include "orchestrator/assignment.h"
#include "orchestrator/capability.h"
#include "orchestrator/completion.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/heartbeat.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod.h"

#define AGENT_WHY_BYTES 1536 /* a path may be in it */

/* --- one job -------------------------------------------------------------- */

const char *agent_job_execution(const struct agent_job *j)
{
	return j->pod ? pod_execution(j->pod) : j->a->execution;
}

struct agent_job *agent_job_new(struct agent *agent, struct assignment *a)
{
	struct agent_job *j = calloc(1, sizeof(*j));

	if (!j) {
		log_write(LOG_LEVEL_ERROR, a->execution, a->trace,
			  "out of memory: left to its lease");
		assignment_free(a);
		return NULL;
	}
	j->agent = agent;
	j->a = a;
	TAILQ_INSERT_TAIL(&agent->jobs, j, link);
	return j;
}

int64_t agent_job_epoch(const struct agent_job *j)
{
	return j->pod ? pod_epoch(j->pod) : j->a->epoch;
}

void agent_job_free(struct agent_job *j)
{
	TAILQ_REMOVE(&j->agent->jobs, j, link);
	j->agent->pods -= j->pod != NULL;
	pod_free(j->pod);
	journal_entry_free(j->journal);
	completion_free(j->completion);
	assignment_free(j->a);
	free(j);
}

void agent_job_bury(struct agent_job *j)
{
	j->state = AGENT_GONE;
	j->ended = true;
	agent_wake(j->agent);
}

struct agent_job *agent_find(struct agent *agent, const char *execution)
{
	struct agent_job *j;

	TAILQ_FOREACH(j, &agent->jobs, link)
		if (!j->ended && !strcmp(agent_job_execution(j), execution))
			return j;
	return NULL;
}

/* --- refusing ------------------------------------------------------------- */

static void agent_on_refusal_told(void *ctx)
{
	struct agent_job *j = ctx;

	journal_end(&j->journal, j->ending, NULL);
	agent_job_bury(j);
}

static void agent_on_refusal_refused(void *ctx, const char *why)
{
	struct agent_job *j = ctx;

	journal_end(&j->journal, WAL_LOST, json_pack("{s:s*}", "reason", why));
	agent_job_bury(j);
}

static int agent_job_open_refusal(struct agent_job *j)
{
	static const struct completion_ops ops = {
		.on_accepted = agent_on_refusal_told,
		.on_refused = agent_on_refusal_refused,
	};

	if (j->state == AGENT_REFUSED)
		return 0;
	j->state = AGENT_REFUSED;
	return completion_new(&j->completion, j->agent->config.base,
			      j->agent->config.client, j->a->execution,
			      j->a->epoch, &ops, j);
}

/* The job ends without a pod. */
void agent_job_refuse(struct agent_job *j, enum outcome_cause cause,
		      const char *why)
{
	const struct outcome_facts facts = { .cause = cause, .detail = why };
	struct outcome outcome;

	log_write(LOG_LEVEL_INFO, j->a->execution, j->a->trace,
		  "no pod is made: %s", why);
	outcome_judge(&facts, &outcome);
	j->ending = cause == OUTCOME_CAUSE_CANCEL ? WAL_CANCELLED
		    : cause == OUTCOME_CAUSE_LOST ? WAL_LOST
						  : WAL_FAILED;
	if (agent_job_open_refusal(j) < 0 ||
	    completion_finish(j->completion, &outcome, 0) < 0)
		agent_job_bury(j);
}

void agent_job_release(struct agent_job *j, bool unbegun, const char *why)
{
	log_write(LOG_LEVEL_INFO, j->a->execution, j->a->trace,
		  "given back: %s", why);
	j->ending = WAL_RELEASED;
	if (agent_job_open_refusal(j) < 0 ||
	    completion_release(j->completion, unbegun, why) < 0)
		agent_job_bury(j);
}

/* --- pods ----------------------------------------------------------------- */

static void agent_on_pod_created(struct pod *p, void *ctx)
{
	struct agent_job *j = ctx;

	j->agent->creating--;
	agent_wake(j->agent);
}

static void agent_on_pod_ended(struct pod *p, void *ctx)
{
	struct agent_job *j = ctx;

	j->ended = true;
}

static void agent_on_pod_gone(struct pod *p, void *ctx)
{
	agent_job_bury(ctx);
}

static const struct pod_ops agent_pod_ops = {
	.on_created = agent_on_pod_created,
	.on_ended = agent_on_pod_ended,
	.on_gone = agent_on_pod_gone,
};

/* The journal's entry goes with it. */
static struct pod_config agent_pod_config(struct agent_job *j,
					  const struct executor_entry *e)
{
	const struct agent_config *config = &j->agent->config;
	struct journal_entry *journal = j->journal;

	j->journal = NULL;
	return (struct pod_config){
		.base = config->base,
		.client = config->client,
		.egress_allow = config->egress_allow,
		.executor_ops = e->ops,
		.executor = e->executor,
		.sampler = config->sampler,
		.journal = journal,
	};
}

/* r: what pod_new() or pod_adopt() said. */
static void agent_job_enter(struct agent_job *j, int r)
{
	j->a = NULL;
	if (r < 0) {
		/* The lease runs out, and another has more memory. */
		log_error(NULL, "out of memory: a pod cannot be made");
		agent_job_bury(j);
		return;
	}
	j->state = AGENT_IN_POD;
	j->agent->pods++;
	heartbeat_note_live(j->agent->heartbeat);
}

static const struct executor_entry *agent_job_executor(
	const struct agent_job *j)
{
	return executor_set_choose(j->agent->config.executors, j->a->executor,
				   j->a->capability);
}

const char *agent_job_hindrance(const struct agent_job *j)
{
	const struct executor_entry *e = agent_job_executor(j);

	return e ? executor_entry_problem(e) : NULL;
}

void agent_job_start(struct agent_job *j)
{
	struct agent *agent = j->agent;
	const struct executor_entry *e = agent_job_executor(j);
	struct pod_config config;
	char why[AGENT_WHY_BYTES];
	int r;

	if (!e) {
		snprintf(why, sizeof(why),
			 "there is no %s executor on %s (it has %s)",
			 j->a->executor, agent->config.name,
			 executor_set_names(agent->config.executors));
		agent_job_refuse(j, OUTCOME_CAUSE_FAILURE, why);
		return;
	}
	if (!capability_may_run(&agent->config.offer, j->a, e->ops, why,
				sizeof(why))) {
		agent_job_refuse(j, OUTCOME_CAUSE_FAILURE, why);
		return;
	}
	j->a->offered = agent->config.offer.shares;
	config = agent_pod_config(j, e);
	r = pod_new(&j->pod, &config, j->a, &agent_pod_ops, j);
	agent->creating += r >= 0;
	agent_job_enter(j, r);
}

void agent_job_adopt(struct agent_job *j, const struct wal_execution *past)
{
	struct pod_config config = agent_pod_config(j, j->plan.executor);

	agent_job_enter(j, pod_adopt(&j->pod, &config, j->a, past,
				     &agent_pod_ops, j));
}
