#include "orchestrator/pod.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/id.h"
#include "common/log.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/outcome.h"
#include "orchestrator/record.h"
#include "orchestrator/runner_link.h"
#include "orchestrator/sidecar_link.h"

/* How far the ending of a running script has come. */
enum pod_stopping {
	POD_NOT_STOPPING,
	POD_SIGNALLED, /* SIGTERM is with the runner */
	POD_KILLED,    /* the executor has killed */
};

struct pod {
	enum pod_state state;
	struct pod_config config;
	const struct pod_ops *ops;
	void *ctx;
	char id[ID_MAX_BYTES];
	struct assignment *a;
	struct executor_pod *place; /* NULL: not made, or being destroyed */
	struct event *deadline;	    /* of the state */
	enum pod_stopping stopping;
	struct outcome_facts facts;
	char detail[OUTCOME_REASON_MAX_BYTES]; /* facts.detail */
	char doom[OUTCOME_REASON_MAX_BYTES];   /* it died of this; "" */

	struct sidecar_link *sidecar;
	struct runner_link *runner;
	bool sidecar_ready, runner_ready;
	bool sidecar_assigned;
	bool drained;

	struct record *record; /* NULL after pod_abandon() */
	bool give_back;	       /* released instead of ended */
	bool reported, ended, destroyed;
};

/* --- states --------------------------------------------------------------- */

#define POD_MAY(state) (1u << (state))

static const struct {
	const char *name;
	unsigned int next;
} pod_states[] = {
	[POD_CREATING] = { "CREATING",
			   POD_MAY(POD_READY) | POD_MAY(POD_FAILED) },
	[POD_READY] = { "READY", POD_MAY(POD_ASSIGNED) | POD_MAY(POD_FAILED) },
	[POD_ASSIGNED] = { "ASSIGNED",
			   POD_MAY(POD_RUNNING) | POD_MAY(POD_FAILED) },
	[POD_RUNNING] = { "RUNNING",
			  POD_MAY(POD_STOPPING) | POD_MAY(POD_FAILED) },
	[POD_STOPPING] = { "STOPPING", POD_MAY(POD_GONE) },
	[POD_FAILED] = { "FAILED", POD_MAY(POD_GONE) },
	[POD_GONE] = { "GONE", 0 },
};

const char *pod_state_name(enum pod_state state)
{
	return pod_states[state].name;
}

static void pod_set_deadline(struct pod *p, uint64_t ms)
{
	const struct timeval t = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	evtimer_add(p->deadline, &t);
}

static void pod_set_state(struct pod *p, enum pod_state state)
{
	enum pod_state old = p->state;

	assert(pod_states[old].next & POD_MAY(state));
	p->state = state;
	evtimer_del(p->deadline);
	log_debug(p->a->execution, "pod %s: %s -> %s", p->id,
		  pod_state_name(old), pod_state_name(state));
	if (old == POD_CREATING)
		p->ops->on_created(p, p->ctx);
}

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

static void pod_note_oom(struct pod *p)
{
	if (p->place && p->config.executor_ops->oom_killed(p->place))
		p->facts.oom_killed = true;
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

static void pod_destroy(struct pod *p)
{
	struct executor_pod *place = p->place;

	if (!place)
		return;
	pod_note_oom(p);
	sidecar_link_free(p->sidecar);
	runner_link_free(p->runner);
	p->sidecar = NULL;
	p->runner = NULL;
	p->place = NULL;
	p->config.executor_ops->destroy(place, pod_on_destroyed, p);
}

/* The backend knows all there is to know. */
static void pod_end(struct pod *p)
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

/* Both sides are done: the record is closed. */
static void pod_report(struct pod *p)
{
	struct outcome outcome;
	int r;

	if (p->reported || p->runner || !p->drained)
		return;
	p->reported = true;
	pod_note_oom(p);
	outcome_judge(&p->facts, &outcome);
	if (p->give_back)
		r = record_release(p->record, p->detail);
	else
		r = record_end(p->record, &outcome);
	log_info(p->a->execution, "%s%s%s",
		 p->give_back ? "given back" : outcome.state,
		 *outcome.reason ? ": " : "", outcome.reason);
	if (r < 0)
		pod_abandon(p, "out of memory while reporting the end");
}

static void pod_finish_runner(struct pod *p)
{
	runner_link_free(p->runner);
	p->runner = NULL;
	record_finish_log(p->record);
	pod_report(p);
}

/*
 * There is no orderly end. What the runner had sent before it was killed is
 * still read, so that the log has the script's last words.
 */
static void pod_fail(struct pod *p, enum outcome_cause cause,
		     const char *detail)
{
	bool was_assigned = p->state >= POD_ASSIGNED;

	if (p->state >= POD_STOPPING)
		return;
	pod_set_cause(p, cause, detail);
	pod_note_oom(p);
	pod_set_state(p, POD_FAILED);
	sidecar_link_free(p->sidecar);
	p->sidecar = NULL;
	p->drained = true;
	if (p->place)
		p->config.executor_ops->kill(p->place);
	pod_set_deadline(p, POD_KILL_WAIT_MS);
	if (p->runner && was_assigned)
		runner_link_resume(p->runner);
	else
		pod_finish_runner(p);
}

static void pod_fail_oom(struct pod *p)
{
	pod_fail(p, OUTCOME_CAUSE_FAILURE,
		 "the orchestrator is out of memory; start fewer jobs at once "
		 "(--slots)");
}

void pod_abandon(struct pod *p, const char *why)
{
	if (p->ended)
		return;
	log_warn(p->a->execution, "abandoned: %s", why);
	/* Nothing must reach the backend from here on. */
	record_free(p->record);
	runner_link_free(p->runner);
	sidecar_link_free(p->sidecar);
	p->record = NULL;
	p->runner = NULL;
	p->sidecar = NULL;
	p->reported = true;
	if (p->state < POD_STOPPING)
		pod_set_state(p, POD_FAILED);
	pod_end(p);
}

/* --- ending a script that runs -------------------------------------------- */

static void pod_end_script(struct pod *p, enum outcome_cause cause,
			   const char *detail)
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

/* The runner did not end the script in time, so the executor does. What was
 * written before fits in socket buffers: it is read without back-pressure. */
static void pod_kill_script(struct pod *p)
{
	p->stopping = POD_KILLED;
	p->config.executor_ops->kill(p->place);
	if (p->runner)
		runner_link_resume(p->runner);
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

/* --- deadlines ------------------------------------------------------------ */

static void pod_miss_start(struct pod *p)
{
	static const char *const missed[] = {
		[POD_CREATING] = "was not ready",
		[POD_READY] = "did not take the job",
		[POD_ASSIGNED] = "did not start the script",
	};
	char detail[OUTCOME_REASON_MAX_BYTES];

	snprintf(detail, sizeof(detail),
		 "the %s pod %s in time; the machine may be overloaded: look "
		 "at the orchestrator's log, or start fewer jobs at once",
		 p->config.executor_ops->name, missed[p->state]);
	pod_fail(p, OUTCOME_CAUSE_FAILURE, detail);
}

static void pod_miss_running(struct pod *p)
{
	switch (p->stopping) {
	case POD_NOT_STOPPING:
		pod_end_script(p, OUTCOME_CAUSE_TIMEOUT, "");
		break;
	case POD_SIGNALLED:
		log_warn(p->a->execution, "the runner did not end the script");
		pod_kill_script(p);
		break;
	case POD_KILLED:
		pod_fail(p, OUTCOME_CAUSE_FAILURE, "the pod did not end");
		break;
	}
}

static void pod_on_deadline(int fd, short what, void *ctx)
{
	struct pod *p = ctx;

	if (p->state < POD_STOPPING && *p->doom) {
		pod_fail(p, OUTCOME_CAUSE_FAILURE, p->doom);
	} else if (p->state < POD_RUNNING) {
		pod_miss_start(p);
	} else if (p->state == POD_RUNNING) {
		pod_miss_running(p);
	} else if (p->runner && p->state == POD_FAILED) {
		pod_finish_runner(p);
		pod_set_deadline(p, POD_DRAIN_MS);
	} else {
		/* The end may still have to be told, the pod is not needed
		 * for that. */
		if (!p->drained)
			log_warn(p->a->execution, "the sidecar did not drain");
		p->drained = true;
		pod_destroy(p);
		pod_report(p);
	}
}

/*
 * Something of the pod died. The executor may know better why, and what the
 * runner had sent may hold an orderly end: both have a moment.
 */
static void pod_set_doom(struct pod *p, const char *reason, uint64_t wait_ms)
{
	if (p->state >= POD_STOPPING)
		return;
	snprintf(p->doom, sizeof(p->doom), "%s", reason);
	pod_set_deadline(p, wait_ms);
}

/* --- the sidecar's side --------------------------------------------------- */

static void pod_check_assign(struct pod *p)
{
	struct executor_place place;

	if (p->state == POD_CREATING && p->sidecar_ready && p->runner_ready) {
		pod_set_state(p, POD_READY);
		pod_set_deadline(p, POD_ASSIGN_MS);
	}
	if (p->state != POD_READY || !p->sidecar_assigned)
		return;
	p->config.executor_ops->place(p->place, &place);
	pod_set_state(p, POD_ASSIGNED);
	pod_set_deadline(p, POD_START_MS);
	if (runner_link_assign(p->runner, p->a, &place) < 0)
		pod_fail_oom(p);
	buf_deinit_secret(&p->a->script);
	buf_deinit_secret(&p->a->input);
}

static void pod_on_sidecar_ready(void *ctx)
{
	struct pod *p = ctx;

	if (p->sidecar_ready)
		return;
	p->sidecar_ready = true;
	if (sidecar_link_assign(p->sidecar, p->a,
				p->config.executor_ops->name) < 0)
		pod_fail_oom(p);
	else
		pod_check_assign(p);
}

static void pod_on_sidecar_assigned(void *ctx)
{
	struct pod *p = ctx;

	p->sidecar_assigned = true;
	pod_check_assign(p);
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

	sidecar_link_free(p->sidecar);
	p->sidecar = NULL;
	snprintf(detail, sizeof(detail),
		 "the job's sidecar ended unexpectedly (%s); run the job again",
		 reason);
	if (p->state == POD_STOPPING) {
		p->drained = true;
		pod_report(p);
	} else if (!*p->doom) {
		pod_set_doom(p, detail, POD_POSTMORTEM_MS);
	}
}

/* --- the runner's side ---------------------------------------------------- */

static void pod_on_runner_ready(void *ctx)
{
	struct pod *p = ctx;

	p->runner_ready = true;
	pod_check_assign(p);
}

static void pod_on_runner_started(void *ctx)
{
	struct pod *p = ctx;

	if (p->state != POD_ASSIGNED)
		return;
	pod_set_state(p, POD_RUNNING);
	if (p->a->timeout_ms)
		pod_set_deadline(p, p->a->timeout_ms);
	if (record_started(p->record, p->id, p->config.executor_ops->name) < 0)
		pod_fail_oom(p);
}

static void pod_on_runner_output(void *ctx, enum frame_type type,
				 const void *data, size_t len)
{
	struct pod *p = ctx;

	if (record_output(p->record, type, data, len) < 0)
		pod_fail_oom(p);
}

static void pod_on_runner_exit(void *ctx, const struct outcome_exit *how)
{
	struct pod *p = ctx;

	p->facts.exit = *how;
	if (p->state != POD_RUNNING) {
		/* It could not be started, or is not wanted any more. */
		if (p->state == POD_FAILED)
			pod_finish_runner(p);
		else
			pod_fail(p, OUTCOME_CAUSE_NONE, "");
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
		.on_exit = pod_on_runner_exit,
		.on_lost = pod_on_runner_lost,
	};

	if (runner_link_new(&p->runner, p->config.base, fd, &ops, p) < 0)
		pod_fail_oom(p);
}

static void pod_on_stream(void *ctx, enum executor_side side, int fd)
{
	struct pod *p = ctx;
	bool taken = side == EXECUTOR_SIDECAR ? p->sidecar != NULL
					      : p->runner != NULL;

	/* A second connection can only be an impostor's. */
	if (taken || p->state != POD_CREATING || *p->doom) {
		log_warn(p->a->execution, "a surplus control stream is closed");
		close(fd);
	} else if (side == EXECUTOR_SIDECAR) {
		pod_connect_sidecar(p, fd);
	} else {
		pod_connect_runner(p, fd);
	}
}

static void pod_on_progress(void *ctx, const char *text)
{
	struct pod *p = ctx;

	log_info(p->a->execution, "%s", text);
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
	log_warn(p->a->execution, "executor: %s", reason);
	pod_note_oom(p);
	if (!p->runner || p->state < POD_ASSIGNED) {
		pod_fail(p, OUTCOME_CAUSE_FAILURE, reason);
		return;
	}
	runner_link_resume(p->runner);
	pod_set_doom(p, reason, POD_KILL_WAIT_MS);
}

static void pod_create_place(struct pod *p)
{
	static const struct executor_events events = {
		.on_stream = pod_on_stream,
		.on_progress = pod_on_progress,
		.on_failed = pod_on_failed,
	};
	struct executor_spec spec;
	int r;

	pod_set_deadline(p, POD_CREATE_MS);
	assignment_executor_spec(p->a, p->id, &spec);
	r = p->config.executor_ops->create(p->config.executor, &spec, &events,
					   p, &p->place);
	if (r >= 0)
		return;
	p->place = NULL;
	p->destroyed = true;
	snprintf(p->doom, sizeof(p->doom), "the %s pod cannot be made: %s",
		 p->config.executor_ops->name, strerror(-r));
	pod_set_deadline(p, 0);
}

/* --- life ----------------------------------------------------------------- */

static void pod_on_record_full(void *ctx)
{
	struct pod *p = ctx;

	if (p->runner && p->state == POD_RUNNING && p->stopping != POD_KILLED)
		runner_link_pause(p->runner);
}

static void pod_on_record_room(void *ctx)
{
	struct pod *p = ctx;

	if (p->runner)
		runner_link_resume(p->runner);
}

static void pod_on_record_ended(void *ctx)
{
	pod_end(ctx);
}

static void pod_on_record_refused(void *ctx, const char *why)
{
	pod_abandon(ctx, why);
}

static int pod_init(struct pod *p)
{
	static const struct record_ops ops = {
		.on_full = pod_on_record_full,
		.on_room = pod_on_record_room,
		.on_ended = pod_on_record_ended,
		.on_refused = pod_on_record_refused,
	};

	id_new("pod", p->id);
	p->facts.detail = p->detail;
	p->facts.timeout_ms = p->a->timeout_ms;
	p->facts.memory_mb = p->a->memory_mb;
	p->deadline = evtimer_new(p->config.base, pod_on_deadline, p);
	if (!p->deadline)
		return -ENOMEM;
	return record_new(&p->record, p->config.base, p->config.client, p->a,
			  &ops, p);
}

int pod_new(struct pod **out, const struct pod_config *config,
	    struct assignment *assignment, const struct pod_ops *ops, void *ctx)
{
	struct pod *p = calloc(1, sizeof(*p));
	int r;

	*out = NULL;
	if (!p) {
		assignment_free(assignment);
		return -ENOMEM;
	}
	p->config = *config;
	p->a = assignment;
	p->ops = ops;
	p->ctx = ctx;
	r = pod_init(p);
	if (r < 0) {
		pod_free(p);
		return r;
	}
	pod_create_place(p);
	*out = p;
	return 0;
}

void pod_free(struct pod *p)
{
	if (!p)
		return;
	sidecar_link_free(p->sidecar);
	runner_link_free(p->runner);
	if (p->place)
		p->config.executor_ops->destroy(p->place, NULL, NULL);
	record_free(p->record);
	if (p->deadline)
		event_free(p->deadline);
	assignment_free(p->a);
	free(p);
}

const char *pod_execution(const struct pod *p)
{
	return p->a->execution;
}

int64_t pod_epoch(const struct pod *p)
{
	return p->a->epoch;
}

uint32_t pod_lease_ms(const struct pod *p)
{
	return p->a->lease_ms;
}

enum pod_state pod_get_state(const struct pod *p)
{
	return p->state;
}
