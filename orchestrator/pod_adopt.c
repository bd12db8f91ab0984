/*
 * A pod that another process has begun: its sides come back by themselves, and
 * it goes on as if nothing had been. What the runner says is not read before
 * the sidecar has told every secret that the script may print.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/json.h"
#include "common/log.h"
#include "common/wal/replay.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod_impl.h"
#include "orchestrator/record.h"
#include "orchestrator/runner_link.h"
#include "orchestrator/sidecar_link.h"

/* --- coming back ---------------------------------------------------------- */

void pod_adopt_sidecar(struct pod *p, const char *resumed)
{
	if (!resumed || strcmp(resumed, p->a->execution) != 0)
		pod_adopt_fail(p, "its sidecar serves no execution");
	else if (sidecar_link_take_up(p->sidecar, p->a) < 0)
		pod_fail_oom(p);
}

/* Without an assignment it has never begun: who has the job next begins it. */
void pod_adopt_runner(struct pod *p, const char *resumed, const char *token)
{
	if (!resumed) {
		pod_give_back(p, "the orchestrator died before the script was "
				 "started");
		return;
	}
	if (strcmp(resumed, p->a->execution) != 0) {
		pod_adopt_fail(p, "its runner has another execution");
		return;
	}
	runner_link_pause(p->runner);
	if (record_mask_token(p->record, token) < 0 ||
	    runner_link_take_up(p->runner, p->a, &p->from) < 0) {
		pod_fail_oom(p);
		return;
	}
	p->runner_back = true;
	pod_adopt_check(p);
}

void pod_adopt_check(struct pod *p)
{
	if (p->state != POD_ADOPTING || *p->doom)
		return;
	/* From here on it waits for the backend alone. */
	if (p->runner_back && p->secrets_back)
		evtimer_del(p->deadline);
	if (!p->runner_back || !p->secrets_back || !p->log_back)
		return;
	FAIL_POINT("pod.recovered");
	pod_set_state(p, POD_RUNNING);
	journal_write(p->config.journal, WAL_RECOVERED,
		      json_pack("{s:s}", "pod", p->id));
	log_write(LOG_LEVEL_INFO, p->a->execution, p->a->trace,
		  "taken up again: pod %s", p->id);
	if (p->a->timeout_ms)
		pod_set_timeout(p, p->started_ms);
	runner_link_resume(p->runner);
}

void pod_set_timeout(struct pod *p, int64_t started_ms)
{
	int64_t ran_ms = clock_wall_ms() - started_ms;
	int64_t left_ms = (int64_t)p->a->timeout_ms - MAX(ran_ms, 0);

	pod_set_deadline(p, (uint64_t)MAX(left_ms, 0));
}

/* --- not coming back ------------------------------------------------------ */

void pod_adopt_fail(struct pod *p, const char *reason)
{
	char detail[OUTCOME_REASON_MAX_BYTES];

	if (p->state != POD_ADOPTING)
		return;
	record_notice(p->record,
		      "the orchestrator was away: what the script printed last "
		      "is not in this log");
	snprintf(detail, sizeof(detail),
		 "the orchestrator was away, and then the pod could not be "
		 "taken up: %s; how the script ended is not known",
		 reason);
	pod_fail(p, OUTCOME_CAUSE_LOST, detail);
}

void pod_adopt_miss(struct pod *p)
{
	pod_adopt_fail(p, p->runner_back ? "its sidecar did not come back"
					 : "its runner did not come back");
}

/* --- life ----------------------------------------------------------------- */

static int pod_adopt_record(struct pod *p, const struct wal_execution *past)
{
	struct log_point from, to;

	journal_read_output(past->output, &from, &to);
	p->from = from.at;
	return record_resume(p->record, &from, &to);
}

static int pod_adopt_place(struct pod *p, const struct wal_execution *past)
{
	struct executor_spec spec;
	int r;

	assignment_executor_spec(p->a, p->id, &spec);
	r = p->config.executor_ops->adopt(p->config.executor, &spec,
					  json_object_get(past->pod, "place"),
					  &pod_executor_events, p, &p->place);
	if (r >= 0)
		return 0;
	p->place = NULL;
	p->destroyed = true;
	if (r == -ENOMEM)
		return r;
	snprintf(p->doom, sizeof(p->doom), "the %s pod cannot be taken up: %s",
		 p->config.executor_ops->name, strerror(-r));
	pod_set_deadline(p, 0);
	return 0;
}

int pod_adopt(struct pod **out, const struct pod_config *config,
	      struct assignment *assignment, const struct wal_execution *past,
	      const struct pod_ops *ops, void *ctx)
{
	struct pod *p = pod_alloc(config, assignment, ops, ctx);
	int r;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->state = POD_ADOPTING;
	p->adopted = true;
	p->started_ms = past->started_ms;
	r = pod_init(p, json_get_str(past->pod, "pod", ""));
	telemetry_resume(&p->telemetry,
			 json_object_get(past->started, "before"));
	if (!r)
		r = pod_adopt_record(p, past);
	if (!r) {
		pod_set_deadline(p, POD_ADOPT_MS);
		r = pod_adopt_place(p, past);
	}
	if (r < 0) {
		pod_free(p);
		return r;
	}
	*out = p;
	return 0;
}
