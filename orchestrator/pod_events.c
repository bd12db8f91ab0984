#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

#define POD_NOTICE_BYTES 8192 /* of a line from the runner */

/* --- the sidecar's side --------------------------------------------------- */

void pod_check_assign(struct pod *p)
{
	struct executor_place place;

	/* A side is gone again, and only the reason is waited for. */
	if (*p->doom)
		return;
	if (p->state == POD_CREATING && p->sidecar_ready && p->runner_ready) {
		pod_set_state(p, POD_READY);
		pod_set_deadline(p, POD_ASSIGN_MS);
	}
	if (p->state != POD_READY || !p->started)
		return;
	if (journal_started(p->config.journal,
			    json_pack("{s:o}", "before",
				      telemetry_before_json(&p->telemetry))) <
	    0) {
		pod_give_back(p, "the write-ahead log of its orchestrator "
				 "cannot be written");
		return;
	}
	p->config.executor_ops->place(p->place, &place);
	FAIL_POINT("pod.assign");
	pod_set_state(p, POD_ASSIGNED);
	pod_set_deadline(p, POD_START_MS);
	if (runner_link_assign(p->runner, p->a, &place) < 0)
		pod_fail_oom(p);
	buf_deinit_secret(&p->a->script);
	buf_deinit_secret(&p->a->input);
}

static void pod_on_sidecar_ready(void *ctx, const char *resumed)
{
	struct pod *p = ctx;

	if (p->sidecar_ready)
		return;
	p->sidecar_ready = true;
	if (p->adopted) {
		pod_adopt_sidecar(p, resumed);
		return;
	}
	if (sidecar_link_assign(p->sidecar, p->a,
				p->config.executor_ops->name) < 0)
		pod_fail_oom(p);
	else
		pod_check_assign(p);
}

static void pod_on_sidecar_assigned(void *ctx)
{
	struct pod *p = ctx;

	if (p->adopted) {
		p->secrets_back = true;
		pod_adopt_check(p);
		return;
	}
	/* In vain where the pod is about to end. */
	if (p->start_told || p->state > POD_READY || *p->doom)
		return;
	p->start_told = true;
	if (record_started(p->record, p->id, p->config.executor_ops->name) < 0)
		pod_fail_oom(p);
}

/* Without an ACK the sidecar does not tell the secret. */
static void pod_on_sidecar_secret(void *ctx, uint32_t id, const void *value,
				  size_t len)
{
	struct pod *p = ctx;

	if (record_secret(p->record, value, len) &&
	    sidecar_link_ack(p->sidecar, id) < 0)
		pod_fail_oom(p);
}

static void pod_on_sidecar_drained(void *ctx)
{
	struct pod *p = ctx;

	if (p->state != POD_STOPPING)
		return;
	p->drained = true;
	pod_report(p);
}

static void pod_on_sidecar_lost(void *ctx, const char *reason)
{
	char detail[OUTCOME_REASON_MAX_BYTES];
	struct pod *p = ctx;

	pod_drop_sidecar(p);
	snprintf(detail, sizeof(detail),
		 "the %s ended unexpectedly (%s); run the job again",
		 p->a->host.direct ? "gateway" : "job's sidecar", reason);
	if (p->state == POD_STOPPING) {
		p->drained = true;
		pod_report(p);
	} else if (!*p->doom) {
		pod_set_doom(p, detail, POD_POSTMORTEM_MS);
	}
}

/* --- the runner's side ---------------------------------------------------- */

static void pod_on_runner_ready(void *ctx, const char *resumed,
				const char *token)
{
	struct pod *p = ctx;

	if (p->runner_ready)
		return;
	p->runner_ready = true;
	if (p->adopted)
		pod_adopt_runner(p, resumed, token);
	else
		pod_check_assign(p);
}

static void pod_on_runner_started(void *ctx)
{
	struct pod *p = ctx;

	p->script_started = true;
	if (p->state != POD_ASSIGNED)
		return;
	pod_set_state(p, POD_RUNNING);
	telemetry_start(&p->telemetry, p->config.sampler);
	/* Its sidecar may be gone since it was assigned. */
	if (*p->doom)
		pod_set_deadline(p, POD_POSTMORTEM_MS);
	else if (p->a->timeout_ms)
		pod_set_deadline(p, p->a->timeout_ms);
}

/* A line of the runner's own, with its newline. */
static void pod_record_notice(struct pod *p, const char *data, size_t len)
{
	char line[POD_NOTICE_BYTES];

	snprintf(line, sizeof(line), "%.*s",
		 (int)MIN(strnlen(data, len), sizeof(line) - 1), data);
	line[strcspn(line, "\n")] = '\0';
	if (record_runner_notice(p->record, line, len) < 0)
		pod_fail_oom(p);
}

static void pod_on_runner_output(void *ctx, enum frame_type type,
				 const void *data, size_t len)
{
	struct pod *p = ctx;

	if (p->runner_done)
		return;
	if (type == FRAME_NOTICE) {
		pod_record_notice(p, data, len);
		return;
	}
	if (record_output(p->record, type, data, len) < 0)
		pod_fail_oom(p);
}

static void pod_on_runner_usage(void *ctx, const struct cgroup_usage *live)
{
	struct pod *p = ctx;

	p->live = *live;
}

static void pod_on_runner_exit(void *ctx, const struct outcome_exit *how)
{
	struct pod *p = ctx;

	if (p->runner_done)
		return;
	FAIL_POINT("pod.exited");
	p->facts.exit = *how;
	/* It had not all of its assignment yet when we died. */
	if (p->adopted && !p->script_started && p->state == POD_RUNNING)
		p->give_back = true;
	if (p->state != POD_RUNNING) {
		/* It could not be started, or is not wanted any more. */
		pod_fail(p, OUTCOME_CAUSE_NONE, "");
		pod_finish_runner(p);
		return;
	}
	pod_set_state(p, POD_STOPPING);
	pod_set_deadline(p, POD_DRAIN_MS);
	p->drained = !p->sidecar;
	if (p->sidecar && sidecar_link_drain(p->sidecar) < 0)
		p->drained = true;
	pod_finish_runner(p);
}

static void pod_on_runner_lost(void *ctx, const char *reason)
{
	char detail[OUTCOME_REASON_MAX_BYTES];
	struct pod *p = ctx;

	runner_link_free(p->runner);
	p->runner = NULL;
	if (p->runner_done)
		return;
	snprintf(detail, sizeof(detail),
		 "the pod died: the script's runner ended unexpectedly (%s)",
		 reason);
	if (p->state == POD_FAILED)
		pod_finish_runner(p);
	else if (p->facts.cause != OUTCOME_CAUSE_NONE)
		pod_fail(p, OUTCOME_CAUSE_FAILURE, detail);
	else if (!*p->doom)
		pod_set_doom(p, detail, POD_POSTMORTEM_MS);
	else
		pod_fail(p, OUTCOME_CAUSE_FAILURE, p->doom);
}

/* --- the executor --------------------------------------------------------- */

static void pod_connect_sidecar(struct pod *p, int fd)
{
	static const struct sidecar_link_ops ops = {
		.on_ready = pod_on_sidecar_ready,
		.on_assigned = pod_on_sidecar_assigned,
		.on_secret = pod_on_sidecar_secret,
		.on_drained = pod_on_sidecar_drained,
		.on_lost = pod_on_sidecar_lost,
	};

	if (sidecar_link_new(&p->sidecar, p->config.base, fd, &ops, p) < 0)
		pod_fail_oom(p);
}

static void pod_connect_runner(struct pod *p, int fd)
{
	static const struct runner_link_ops ops = {
		.on_ready = pod_on_runner_ready,
		.on_started = pod_on_runner_started,
		.on_output = pod_on_runner_output,
		.on_usage = pod_on_runner_usage,
		.on_exit = pod_on_runner_exit,
		.on_lost = pod_on_runner_lost,
	};

	if (runner_link_new(&p->runner, p->config.base, fd, &ops, p) < 0)
		pod_fail_oom(p);
}

static void pod_on_door_notice(void *ctx, const char *line)
{
	struct pod *p = ctx;

	if (p->record)
		record_notice(p->record, line);
}

/* The sidecar's control stream tells whether that is the end of it. */
static void pod_on_door_lost(void *ctx, const char *reason)
{
	struct pod *p = ctx;

	log_write(LOG_LEVEL_DEBUG, p->a->execution, p->a->trace,
		  "the door is shut: %s", reason);
}

static void pod_open_door(struct pod *p, int fd)
{
	static const struct door_ops ops = {
		.on_notice = pod_on_door_notice,
		.on_lost = pod_on_door_lost,
	};
	const struct door_config config = {
		.base = p->config.base,
		.allow = p->config.egress_allow,
		.net = assignment_net(p->a),
		.ops = &ops,
		.ctx = p,
	};

	if (door_new(&p->door, &config, fd) < 0)
		pod_fail_oom(p);
}

static bool pod_has_stream(const struct pod *p, enum executor_side side)
{
	switch (side) {
	case EXECUTOR_SIDECAR:
		return p->sidecar;
	case EXECUTOR_RUNNER:
		return p->runner;
	case EXECUTOR_DOOR:
		return p->door;
	case EXECUTOR_SIDES:
		break;
	}
	return true;
}

static void pod_on_stream(void *ctx, enum executor_side side, int fd)
{
	struct pod *p = ctx;

	/* A second connection can only be an impostor's. */
	if (pod_has_stream(p, side) || *p->doom ||
	    (p->state != POD_CREATING && p->state != POD_ADOPTING)) {
		log_write(LOG_LEVEL_WARN, p->a->execution, p->a->trace,
			  "a surplus control stream is closed");
		close(fd);
	} else if (side == EXECUTOR_SIDECAR) {
		pod_connect_sidecar(p, fd);
	} else if (side == EXECUTOR_DOOR) {
		pod_open_door(p, fd);
	} else {
		pod_connect_runner(p, fd);
	}
}

static void pod_on_progress(void *ctx, const char *text)
{
	struct pod *p = ctx;

	log_write(LOG_LEVEL_INFO, p->a->execution, p->a->trace, "%s", text);
	if (p->state != POD_CREATING)
		return;
	pod_set_deadline(p, POD_CREATE_MS);
	record_notice(p->record, text);
}

static void pod_on_failed(void *ctx, const char *reason)
{
	struct pod *p = ctx;

	if (p->state >= POD_STOPPING)
		return;
	log_write(LOG_LEVEL_WARN, p->a->execution, p->a->trace, "executor: %s",
		  reason);
	pod_take_stock(p);
	if (p->state == POD_ADOPTING) {
		pod_adopt_fail(p, reason);
		return;
	}
	if (!p->runner || p->state < POD_ASSIGNED) {
		pod_fail(p, OUTCOME_CAUSE_FAILURE, reason);
		return;
	}
	pod_set_doom(p, reason, POD_KILL_WAIT_MS);
}

/* From ASSIGNED on the script may have begun; ADOPTING, it has. */
static bool pod_on_away(void *ctx, const char *reason)
{
	struct pod *p = ctx;

	if (p->state >= POD_ASSIGNED)
		return false;
	pod_give_back(p, reason);
	return true;
}

const struct executor_events pod_executor_events = {
	.on_stream = pod_on_stream,
	.on_progress = pod_on_progress,
	.on_failed = pod_on_failed,
	.on_away = pod_on_away,
};
