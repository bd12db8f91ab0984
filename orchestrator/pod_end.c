#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/fail_point.h"
#include "common/log.h"
#include "orchestrator/assignment.h"
#include "orchestrator/door.h"
#include "orchestrator/executor.h"
#include "orchestrator/journal.h"
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
	if (p->sidecar && p->a->keep_ms)
		sidecar_link_dismiss(p->sidecar);
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
	if (p->runner && p->a->keep_ms)
		runner_link_dismiss(p->runner);
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
	FAIL_POINT("pod.ended");
	journal_end(&p->config.journal, p->ending, p->ending_data);
	p->ending_data = NULL;
	p->ops->on_ended(p, p->ctx);
	if (p->place)
		pod_destroy(p);
	else
		pod_check_gone(p);
}

static enum wal_type pod_ending(const struct pod *p,
				const struct outcome *outcome)
{
	static const struct {
		const char *state;
		enum wal_type type;
	} endings[] = {
		{ "succeeded", WAL_COMPLETED },
		{ "cancelled", WAL_CANCELLED },
		{ "lost", WAL_LOST },
	};

	if (p->give_back)
		return WAL_RELEASED;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (!strcmp(endings[i].state, outcome->state))
			return endings[i].type;
	return WAL_FAILED;
}

/* What it was, and what it cost. */
static json_t *pod_ending_data(const struct outcome *outcome)
{
	const char *reason = *outcome->reason ? outcome->reason : NULL;

	return json_pack("{s:s*,s:o,s:o}", "reason", reason, "usage",
			 usage_json(&outcome->usage), "telemetry",
			 telemetry_json(&outcome->telemetry));
}

void pod_report(struct pod *p)
{
	struct outcome outcome;
	int r;

	if (p->reported || !p->runner_done || !p->drained)
		return;
	p->reported = true;
	pod_take_stock(p);
	telemetry_end(&p->telemetry, p->config.sampler);
	outcome_judge(&p->facts, &outcome);
	p->ending = pod_ending(p, &outcome);
	p->ending_data = pod_ending_data(&outcome);
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

/* It may keep its stream until it is dismissed. */
void pod_finish_runner(struct pod *p)
{
	if (p->runner_done)
		return;
	p->runner_done = true;
	record_finish_log(p->record);
	pod_report(p);
}

void pod_fail(struct pod *p, enum outcome_cause cause, const char *detail)
{
	bool was_read = p->state >= POD_ASSIGNED && p->state != POD_ADOPTING;

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
	if (!p->runner || !was_read)
		pod_finish_runner(p);
}

void pod_give_back(struct pod *p, const char *why)
{
	p->give_back = true;
	pod_fail(p, OUTCOME_CAUSE_CANCEL, why);
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
	if (p->runner && p->a->keep_ms)
		runner_link_dismiss(p->runner);
	runner_link_free(p->runner);
	pod_drop_sidecar(p);
	p->record = NULL;
	p->runner = NULL;
	p->reported = p->runner_done = true;
	json_decref(p->ending_data);
	p->ending_data = json_pack("{s:s}", "reason", why);
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
	/* From ASSIGNED on the script may have begun. */
	if (p->state < POD_ASSIGNED)
		p->give_back = true;
	pod_cancel(p, reason);
}

void pod_kill(struct pod *p, const char *reason)
{
	pod_fail(p, OUTCOME_CAUSE_CANCEL, reason);
}
