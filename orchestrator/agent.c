#include "orchestrator/agent.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "orchestrator/admission.h"
#include "orchestrator/agent_impl.h"
#include "orchestrator/assignment.h"
#include "orchestrator/claims.h"
#include "orchestrator/completion.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/heartbeat.h"
#include "orchestrator/outcome.h"
#include "orchestrator/pod.h"

#define AGENT_STOP_REASON "the orchestrator was stopped"

#define AGENT_WHY_BYTES 1536 /* a path may be in it */

bool agent_name_valid(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= AGENT_NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-") == n;
}

static void agent_wake(struct agent *agent)
{
	event_active(agent->turn, EV_TIMEOUT, 0);
}

/* --- one job -------------------------------------------------------------- */

const char *agent_job_execution(const struct agent_job *j)
{
	return j->pod ? pod_execution(j->pod) : j->a->execution;
}

int64_t agent_job_epoch(const struct agent_job *j)
{
	return j->pod ? pod_epoch(j->pod) : j->a->epoch;
}

static void agent_job_free(struct agent_job *j)
{
	TAILQ_REMOVE(&j->agent->jobs, j, link);
	j->agent->pods -= j->pod != NULL;
	pod_free(j->pod);
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
	agent_job_bury(ctx);
}

static void agent_on_refusal_refused(void *ctx, const char *why)
{
	agent_job_bury(ctx);
}

static int agent_job_open_refusal(struct agent_job *j)
{
	static const struct completion_ops ops = {
		.on_accepted = agent_on_refusal_told,
		.on_refused = agent_on_refusal_refused,
	};

	j->state = AGENT_REFUSED;
	return completion_new(&j->completion, j->agent->config.base,
			      j->agent->config.client, j->a->execution,
			      j->a->epoch, &ops, j);
}

/* The job ends without ever having a pod. */
static void agent_job_refuse(struct agent_job *j, enum outcome_cause cause,
			     const char *why)
{
	const struct outcome_facts facts = { .cause = cause, .detail = why };
	struct outcome outcome;

	log_write(LOG_LEVEL_INFO, j->a->execution, j->a->trace,
		  "no pod is made: %s", why);
	outcome_judge(&facts, &outcome);
	if (agent_job_open_refusal(j) < 0 ||
	    completion_finish(j->completion, &outcome, 0) < 0)
		agent_job_bury(j);
}

static void agent_job_release(struct agent_job *j, const char *why)
{
	log_write(LOG_LEVEL_INFO, j->a->execution, j->a->trace,
		  "given back: %s", why);
	if (agent_job_open_refusal(j) < 0 ||
	    completion_release(j->completion, why) < 0)
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

static void agent_job_start(struct agent_job *j)
{
	static const struct pod_ops ops = {
		.on_created = agent_on_pod_created,
		.on_ended = agent_on_pod_ended,
		.on_gone = agent_on_pod_gone,
	};
	struct agent *agent = j->agent;
	const struct executor_entry *e;
	struct pod_config config;
	char why[AGENT_WHY_BYTES];

	e = executor_set_choose(agent->config.executors, j->a->executor,
				j->a->capability);
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
	config = (struct pod_config){
		.base = agent->config.base,
		.client = agent->config.client,
		.egress_allow = agent->config.egress_allow,
		.executor_ops = e->ops,
		.executor = e->executor,
		.sampler = agent->config.sampler,
	};
	j->state = AGENT_IN_POD;
	agent->creating++;
	if (pod_new(&j->pod, &config, j->a, &ops, j) < 0) {
		/* The lease runs out, and another has more memory. */
		log_error(NULL, "out of memory: a pod cannot be made");
		agent->creating--;
		agent_job_bury(j);
	}
	agent->pods += j->pod != NULL;
	heartbeat_note_live(agent->heartbeat);
	j->a = NULL;
}

static void agent_start_waiting(struct agent *agent)
{
	struct agent_job *j;

	if (!admission_accepts(agent->admission))
		return;
	TAILQ_FOREACH(j, &agent->jobs, link) {
		if (agent->creating >= agent->creating_max ||
		    agent->pods >= agent->config.slots * AGENT_PODS_PER_SLOT)
			break;
		if (j->state == AGENT_WAITING)
			agent_job_start(j);
	}
}

/* --- the guard ------------------------------------------------------------ */

/* What is given back before the backend knows would come again at once. */
void agent_check_guard(struct agent *agent)
{
	const char *problem = admission_problem(agent->admission);
	struct agent_job *j;

	if (!problem || !agent->told)
		return;
	TAILQ_FOREACH(j, &agent->jobs, link)
		if (j->state == AGENT_WAITING)
			agent_job_release(j, problem);
}

static void agent_on_guard(void *ctx)
{
	struct agent *agent = ctx;

	agent->told = false;
	heartbeat_now(agent->heartbeat);
	agent_wake(agent);
}

/* A backend that has just started knows nothing of us. */
static void agent_on_claims_open(void *ctx)
{
	struct agent *agent = ctx;

	agent->told = false;
	heartbeat_now(agent->heartbeat);
}

/* --- claims --------------------------------------------------------------- */

static void agent_on_assignment(void *ctx, struct assignment *a,
				const char *why)
{
	struct agent *agent = ctx;
	struct agent_job *old = agent_find(agent, a->execution);
	struct agent_job *j = calloc(1, sizeof(*j));

	if (!j) {
		log_write(LOG_LEVEL_ERROR, a->execution, a->trace,
			  "out of memory: left to its lease");
		assignment_free(a);
		return;
	}
	if (old && old->pod)
		pod_abandon(old->pod, "it was claimed anew");
	j->agent = agent;
	j->a = a;
	TAILQ_INSERT_TAIL(&agent->jobs, j, link);
	log_write(LOG_LEVEL_INFO, a->execution, a->trace,
		  "claimed, job %s, epoch %lld", a->job ? a->job : "?",
		  (long long)a->epoch);
	if (why) {
		agent_job_refuse(j, OUTCOME_CAUSE_FAILURE, why);
		return;
	}
	heartbeat_set_lease(agent->heartbeat, a->lease_ms);
	agent_check_guard(agent);
	agent_start_waiting(agent);
}

void agent_job_cancel(struct agent_job *j, const char *reason)
{
	if (j->state == AGENT_WAITING)
		agent_job_refuse(j, OUTCOME_CAUSE_CANCEL, reason);
	else if (j->state == AGENT_IN_POD)
		pod_cancel(j->pod, reason);
}

static void agent_on_cancel(void *ctx, const char *execution, int64_t epoch,
			    const char *reason)
{
	struct agent_job *j = agent_find(ctx, execution);

	if (j && agent_job_epoch(j) == epoch)
		agent_job_cancel(j, reason);
}

/* --- stopping ------------------------------------------------------------- */

static void agent_arm_stop(struct agent *agent)
{
	uint32_t ms = agent->stops > 1 ? AGENT_KILL_MS : AGENT_STOP_MS;
	const struct timeval t = clock_timeval(ms);

	event_add(agent->stop_timer, &t);
}

/* First a request, then a kill, then the end of all patience. */
static void agent_stop_harder(struct agent *agent)
{
	struct agent_job *j;

	agent->stops++;
	TAILQ_FOREACH(j, &agent->jobs, link) {
		if (j->state == AGENT_WAITING)
			agent_job_release(j, AGENT_STOP_REASON);
		else if (j->state == AGENT_IN_POD && agent->stops == 1)
			pod_stop(j->pod, AGENT_STOP_REASON);
		else if (j->state == AGENT_IN_POD)
			pod_kill(j->pod, AGENT_STOP_REASON);
	}
	agent_arm_stop(agent);
	agent_wake(agent);
}

void agent_stop(struct agent *agent, void (*done)(void *ctx), void *ctx)
{
	claims_free(agent->claims);
	agent->claims = NULL;
	agent->stopped = done;
	agent->stopped_ctx = ctx;
	if (agent->stops < 2)
		agent_stop_harder(agent);
}

static void agent_check_stopped(struct agent *agent)
{
	void (*done)(void *ctx) = agent->stopped;

	if (!done || (!TAILQ_EMPTY(&agent->jobs) && agent->stops < 3))
		return;
	evtimer_del(agent->stop_timer);
	agent->stopped = NULL;
	done(agent->stopped_ctx);
}

static void agent_on_stop_timer(int fd, short what, void *ctx)
{
	struct agent *agent = ctx;

	log_warn(NULL, "what was to be stopped is still there");
	agent_stop_harder(agent);
}

/* --- life ----------------------------------------------------------------- */

static void agent_on_turn(int fd, short what, void *ctx)
{
	struct agent *agent = ctx;
	struct agent_job *j, *next;

	for (j = TAILQ_FIRST(&agent->jobs); j; j = next) {
		next = TAILQ_NEXT(j, link);
		if (j->state == AGENT_GONE)
			agent_job_free(j);
	}
	if (agent->stops)
		agent_check_stopped(agent);
	else
		agent_start_waiting(agent);
}

static int agent_connect(struct agent *agent)
{
	static const struct claims_ops claims_ops = {
		.on_open = agent_on_claims_open,
		.on_assignment = agent_on_assignment,
		.on_cancel = agent_on_cancel,
	};
	const struct claims_config claims = {
		.base = agent->config.base,
		.client = agent->config.client,
		.name = agent->config.name,
		.slots = agent->config.slots,
		.executors = executor_set_names(agent->config.executors),
		.labels = agent->config.labels,
	};
	int r;

	r = heartbeat_new(&agent->heartbeat, claims.base, claims.client,
			  claims.name, &agent_heartbeat_ops, agent);
	if (!r)
		r = admission_new(&agent->admission, agent->config.sampler,
				  agent->config.guard, agent_on_guard, agent);
	if (!r)
		r = claims_new(&agent->claims, &claims, &claims_ops, agent);
	return r;
}

int agent_new(struct agent **out, const struct agent_config *config)
{
	_cleanup_(agent_freep) struct agent *agent = NULL;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int r;

	*out = NULL;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return -ENOMEM;
	agent->config = *config;
	agent->creating_max = (unsigned int)MAX(cores, 1) *
			      AGENT_CREATING_PER_CORE;
	TAILQ_INIT(&agent->jobs);
	agent->turn = event_new(config->base, -1, 0, agent_on_turn, agent);
	agent->stop_timer = evtimer_new(config->base, agent_on_stop_timer,
					agent);
	if (!agent->turn || !agent->stop_timer)
		return -ENOMEM;
	r = agent_connect(agent);
	if (r < 0)
		return r;
	*out = agent;
	agent = NULL;
	return 0;
}

void agent_free(struct agent *agent)
{
	struct agent_job *j;

	if (!agent)
		return;
	claims_free(agent->claims);
	admission_free(agent->admission);
	heartbeat_free(agent->heartbeat);
	while ((j = TAILQ_FIRST(&agent->jobs)))
		agent_job_free(j);
	if (agent->turn)
		event_free(agent->turn);
	if (agent->stop_timer)
		event_free(agent->stop_timer);
	free(agent);
}
