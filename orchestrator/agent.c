#include "orchestrator/agent.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"
#include "orchestrator/admission.h"
#include "orchestrator/agent_impl.h"
#include "orchestrator/assignment.h"
#include "orchestrator/claims.h"
#include "orchestrator/executor.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/heartbeat.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod.h"

#define AGENT_STOP_REASON "the orchestrator was stopped"

void agent_wake(struct agent *agent)
{
	event_active(agent->turn, EV_TIMEOUT, 0);
}

/* --- waiting -------------------------------------------------------------- */

static void agent_start_waiting(struct agent *agent)
{
	struct agent_job *j;

	if (!admission_accepts(agent->admission))
		return;
	TAILQ_FOREACH(j, &agent->jobs, link) {
		if (agent->creating >= agent->creating_max ||
		    agent->pods >= agent->config.slots * AGENT_PODS_PER_SLOT)
			break;
		if (j->state == AGENT_WAITING && !agent_job_hindrance(j))
			agent_job_start(j);
	}
}

/* --- what keeps jobs from being started ------------------------------------ */

/* What is given back before the backend knows would come again at once. */
void agent_check_waiting(struct agent *agent)
{
	const char *shut = admission_problem(agent->admission), *problem;
	struct agent_job *j;

	if (!agent->told)
		return;
	TAILQ_FOREACH(j, &agent->jobs, link) {
		if (j->state != AGENT_WAITING)
			continue;
		problem = shut ?: agent_job_hindrance(j);
		if (problem)
			agent_job_release(j, true, problem);
	}
}

/* The backend is told; then, or where nothing keeps them, the jobs are looked
 * at again. */
void agent_check_executors(struct agent *agent)
{
	agent->told = false;
	heartbeat_now(agent->heartbeat);
	agent_wake(agent);
}

static void agent_note_guard(struct agent *agent)
{
	const char *problem = admission_problem(agent->admission);

	if (problem)
		journal_note(agent->config.journal, WAL_GUARD_OPENED,
			     json_pack("{s:s}", "problem", problem));
	else
		journal_note(agent->config.journal, WAL_GUARD_CLOSED, NULL);
}

static void agent_on_guard(void *ctx)
{
	struct agent *agent = ctx;

	agent_note_guard(agent);
	agent_check_executors(agent);
}

/* A backend that has just started knows nothing of us. */
static void agent_on_claims_open(void *ctx)
{
	struct agent *agent = ctx;

	agent->told = false;
	heartbeat_now(agent->heartbeat);
}

/* --- claims --------------------------------------------------------------- */

static void agent_take(struct agent_job *j, const char *why)
{
	struct agent *agent = j->agent;
	int r = journal_claim(agent->config.journal, j->a, &j->journal);

	FAIL_POINT("orchestrator.claimed");
	if (r < 0) {
		agent_job_release(j, true,
				  "the write-ahead log of its "
				  "orchestrator cannot be written");
	} else if (why) {
		agent_job_refuse(j, OUTCOME_CAUSE_FAILURE, why);
	} else {
		journal_write(j->journal, WAL_VALIDATED, NULL);
		heartbeat_set_lease(agent->heartbeat, j->a->lease_ms);
		heartbeat_heard(agent->heartbeat);
		agent_check_waiting(agent);
		agent_start_waiting(agent);
	}
}

static void agent_on_assignment(void *ctx, struct assignment *a,
				const char *why)
{
	struct agent *agent = ctx;
	struct agent_job *old = agent_find(agent, a->execution), *j;

	if (old && old->pod)
		pod_abandon(old->pod, "it was claimed anew");
	j = agent_job_new(agent, a);
	if (!j)
		return;
	log_write(LOG_LEVEL_INFO, a->execution, a->trace,
		  "claimed, job %s, epoch %lld", a->job ? a->job : "?",
		  (long long)a->epoch);
	agent_take(j, why);
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

static void agent_on_event(void *ctx, const char *type, json_t *event)
{
	enum wal_type known = wal_type_parse(type);
	struct agent *agent = ctx;

	if (known >= WAL_SESSION_CREATED && known <= WAL_SESSION_ENDED)
		journal_note(agent->config.journal, known, json_incref(event));
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
			agent_job_release(j, true, AGENT_STOP_REASON);
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

/* --- turns ---------------------------------------------------------------- */

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

/* --- claiming ------------------------------------------------------------- */

void agent_check_claims(struct agent *agent)
{
	static const struct claims_ops ops = {
		.on_open = agent_on_claims_open,
		.on_assignment = agent_on_assignment,
		.on_cancel = agent_on_cancel,
		.on_event = agent_on_event,
	};
	const struct claims_config config = {
		.base = agent->config.base,
		.client = agent->config.client,
		.name = agent->config.name,
		.slots = agent->config.slots,
		.executors = executor_set_names(agent->config.executors),
		.labels = agent->config.labels,
	};
	const char *problem = journal_problem(agent->config.journal);

	if (problem && agent->claims) {
		log_error(NULL, "no job is claimed: %s", problem);
		claims_free(agent->claims);
		agent->claims = NULL;
	}
	if (problem || agent->claims || !agent->recovered || agent->stops)
		return;
	if (claims_new(&agent->claims, &config, &ops, agent) < 0)
		log_error(NULL, "no job is claimed: out of memory");
}

static void agent_on_recovered(void *ctx)
{
	struct agent *agent = ctx;

	agent->recovered = true;
	agent_settle_past(agent);
	agent_check_claims(agent);
}

int agent_begin(struct agent *agent)
{
	return heartbeat_recover(agent->heartbeat, agent_on_recovered);
}

const char *const *agent_spare(const struct agent *agent, size_t *n)
{
	*n = agent->n_spare;
	return (const char *const *)agent->spare;
}

/* --- life ----------------------------------------------------------------- */

static int agent_init(struct agent *agent)
{
	const struct agent_config *c = &agent->config;
	int r;

	agent->turn = event_new(c->base, -1, 0, agent_on_turn, agent);
	agent->stop_timer = evtimer_new(c->base, agent_on_stop_timer, agent);
	if (!agent->turn || !agent->stop_timer)
		return -ENOMEM;
	r = heartbeat_new(&agent->heartbeat, c->base, c->client, c->name,
			  &agent_heartbeat_ops, agent);
	if (!r)
		r = admission_new(&agent->admission, c->sampler, c->guard,
				  agent_on_guard, agent);
	/* It may be open from the start. */
	if (!r && !admission_accepts(agent->admission))
		agent_note_guard(agent);
	return r;
}

int agent_new(struct agent **out, const struct agent_config *config,
	      const struct wal_replay *past)
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
	r = agent_init(agent);
	if (!r)
		r = agent_take_up(agent, past);
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
	while (agent->n_spare)
		free(agent->spare[--agent->n_spare]);
	free(agent->spare);
	while ((j = TAILQ_FIRST(&agent->jobs)))
		agent_job_free(j);
	if (agent->turn)
		event_free(agent->turn);
	if (agent->stop_timer)
		event_free(agent->stop_timer);
	free(agent);
}
