#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "orchestrator/assignment.h"
#include "orchestrator/door.h"
#include "orchestrator/executor.h"
#include "orchestrator/pod_impl.h"
#include "orchestrator/record.h"
#include "orchestrator/runner_link.h"
#include "orchestrator/sidecar_link.h"

/* --- the end -------------------------------------------------------------- */

/* The first cause is the one that counts. */
static void pod_set_cause(struct pod *p, enum outcome_cause cause,
			  const char *detail)
{
	if (p->facts.cause != OUTCOME_CAUSE_NONE)
		return;
	p->facts.cause = cause;
	snprintf(p->detail, sizeof(p->detail), "%s", detail);
}

void pod_take_stock(struct pod *p)
{
	const struct executor_ops *ops = p->config.executor_ops;

	if (!p->place)
		return;
	if (ops->oom_killed(p->place))
		p->facts.oom_killed = true;
	if (ops->measure)
		ops->measure(p->place, &p->measured);
}

static void pod_check_gone(struct pod *p)
{
	if (!p->ended || !p->destroyed)
		return;
	pod_set_state(p, POD_GONE);
	p->ops->on_gone(p, p->ctx);
}

static void pod_on_destroyed(void *ctx)
{
	struct pod *p = ctx;

	p->destroyed = true;
	pod_check_gone(p);
}

void pod_drop_sidecar(struct pod *p)
{
	door_free(p->door);
	sidecar_link_free(p->sidecar);
	p->door = NULL;
	p->sidecar = NULL;
}

void pod_destroy(struct pod *p)
{
	struct executor_pod *place = p->place;

	if (!place)
		return;
	pod_take_stock(p);
	pod_drop_sidecar(p);
	runner_link_free(p->runner);
	p->runner = NULL;
	p->place = NULL;
	p->config.executor_ops->destroy(place, pod_on_destroyed, p);
}

void pod_end(struct pod *p)
{
	if (p->ended)
		return;
	p->ended = true;
	p->ops->on_ended(p, p->ctx);
	if (p->place)
		pod_destroy(p);
	else
		pod_check_gone(p);
}

void pod_report(struct pod *p)
{
	struct outcome outcome;
	int r;

	if (p->reported || p->runner || !p->drained)
		return;
	p->reported = true;
	pod_take_stock(p);
	telemetry_end(&p->telemetry, p->config.sampler);
	outcome_judge(&p->facts, &outcome);
	if (p->give_back)
		r = record_release(p->record, p->detail);
	else
		r = record_end(p->record, &outcome);
	log_write(LOG_LEVEL_INFO, p->a->execution, p->a->trace, "%s%s%s",
		  p->give_back ? "given back" : outcome.state,
		  *outcome.reason ? ": " : "", outcome.reason);
	if (r < 0)
		pod_abandon(p, "out of memory while reporting the end");
}

void pod_finish_runner(struct pod *p)
{
	runner_link_free(p->runner);
	p->runner = NULL;
	record_finish_log(p->record);
	pod_report(p);
}

void pod_fail(struct pod *p, enum outcome_cause cause, const char *detail)
{
	bool was_assigned = p->state >= POD_ASSIGNED;

	if (p->state >= POD_STOPPING)
		return;
	pod_set_cause(p, cause, detail);
	pod_take_stock(p);
	pod_set_state(p, POD_FAILED);
	pod_drop_sidecar(p);
	p->drained = true;
	if (p->place)
		p->config.executor_ops->kill(p->place);
	pod_set_deadline(p, POD_KILL_WAIT_MS);
	if (!p->runner || !was_assigned)
		pod_finish_runner(p);
}

void pod_fail_oom(struct pod *p)
{
	pod_fail(p, OUTCOME_CAUSE_FAILURE,
		 "the orchestrator is out of memory; start fewer jobs at once "
		 "(--slots)");
}

void pod_abandon(struct pod *p, const char *why)
{
	if (p->ended)
		return;
	log_write(LOG_LEVEL_WARN, p->a->execution, p->a->trace, "abandoned: %s",
		  why);
	/* Nothing must reach the backend from here on. */
	record_free(p->record);
	runner_link_free(p->runner);
	pod_drop_sidecar(p);
	p->record = NULL;
	p->runner = NULL;
	p->reported = true;
	if (p->state < POD_STOPPING)
		pod_set_state(p, POD_FAILED);
	pod_end(p);
}

void pod_set_doom(struct pod *p, const char *reason, uint64_t wait_ms)
{
	if (p->state >= POD_STOPPING)
		return;
	snprintf(p->doom, sizeof(p->doom), "%s", reason);
	pod_set_deadline(p, wait_ms);
}

/* --- ending a script that runs -------------------------------------------- */

void pod_end_script(struct pod *p, enum outcome_cause cause, const char *detail)
{
	if (p->stopping != POD_NOT_STOPPING)
		return;
	pod_set_cause(p, cause, detail);
	p->stopping = POD_SIGNALLED;
	pod_set_deadline(p, ASSIGNMENT_GRACE_MS + POD_KILL_AFTER_GRACE_MS);
	if (p->runner &&
	    runner_link_signal(p->runner, SIGTERM, ASSIGNMENT_GRACE_MS) < 0)
		pod_fail_oom(p);
}

void pod_kill_script(struct pod *p)
{
	p->stopping = POD_KILLED;
	p->config.executor_ops->kill(p->place);
	pod_set_deadline(p, POD_KILL_WAIT_MS);
}

void pod_cancel(struct pod *p, const char *reason)
{
	if (p->state == POD_RUNNING)
		pod_end_script(p, OUTCOME_CAUSE_CANCEL, reason);
	else
		pod_fail(p, OUTCOME_CAUSE_CANCEL, reason);
}

void pod_stop(struct pod *p, const char *reason)
{
	/* What the backend was told to have begun can only end. */
	if (!p->start_told)
		p->give_back = true;
	pod_cancel(p, reason);
}

void pod_kill(struct pod *p, const char *reason)
{
	pod_fail(p, OUTCOME_CAUSE_CANCEL, reason);
}
