#include "orchestrator/pod.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/id.h"
#include "common/log.h"
#include "orchestrator/assignment.h"
#include "orchestrator/executor.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod_impl.h"
#include "orchestrator/process_id.h"
#include "orchestrator/record.h"
#include "orchestrator/runner_link.h"
#include "orchestrator/sidecar_link.h"
#include "orchestrator/usage.h"

/* --- states --------------------------------------------------------------- */

/* Of the lease, a pod is kept without us: it is gone before that ends. */
#define POD_KEEP 5
#define POD_KEEP_OF 6

#define POD_MAY(state) (1u << (state))

static const struct {
	const char *name, *told; /* in logs; in the agent's status */
	unsigned int next;
} pod_states[] = {
	[POD_CREATING] = { "CREATING", "creating",
			   POD_MAY(POD_READY) | POD_MAY(POD_FAILED) },
	[POD_READY] = { "READY", "ready",
			POD_MAY(POD_ASSIGNED) | POD_MAY(POD_FAILED) },
	[POD_ASSIGNED] = { "ASSIGNED", "assigned",
			   POD_MAY(POD_RUNNING) | POD_MAY(POD_FAILED) },
	[POD_ADOPTING] = { "ADOPTING", "adopting",
			   POD_MAY(POD_RUNNING) | POD_MAY(POD_FAILED) },
	[POD_RUNNING] = { "RUNNING", "running",
			  POD_MAY(POD_STOPPING) | POD_MAY(POD_FAILED) },
	[POD_STOPPING] = { "STOPPING", "stopping", POD_MAY(POD_GONE) },
	[POD_FAILED] = { "FAILED", "failed", POD_MAY(POD_GONE) },
	[POD_GONE] = { "GONE", "gone", 0 },
};

static const char *pod_state_name(enum pod_state state)
{
	return pod_states[state].name;
}

void pod_set_deadline(struct pod *p, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	evtimer_add(p->deadline, &t);
}

void pod_set_state(struct pod *p, enum pod_state state)
{
	enum pod_state old = p->state;

	assert(pod_states[old].next & POD_MAY(state));
	p->state = state;
	evtimer_del(p->deadline);
	log_write(LOG_LEVEL_DEBUG, p->a->execution, p->a->trace,
		  "pod %s: %s -> %s", p->id, pod_state_name(old),
		  pod_state_name(state));
	if (old == POD_CREATING)
		p->ops->on_created(p, p->ctx);
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
		log_write(LOG_LEVEL_WARN, p->a->execution, p->a->trace,
			  "the runner did not end the script");
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

	if (p->state == POD_ADOPTING && *p->doom) {
		pod_adopt_fail(p, p->doom);
	} else if (p->state < POD_STOPPING && *p->doom) {
		pod_fail(p, OUTCOME_CAUSE_FAILURE, p->doom);
	} else if (p->state == POD_ADOPTING) {
		pod_adopt_miss(p);
	} else if (p->state < POD_RUNNING) {
		pod_miss_start(p);
	} else if (p->state == POD_RUNNING) {
		pod_miss_running(p);
	} else if (!p->runner_done && p->state == POD_FAILED) {
		pod_finish_runner(p);
		pod_set_deadline(p, POD_DRAIN_MS);
	} else {
		/* The end may still have to be told, the pod is not needed
		 * for that. */
		if (!p->drained)
			log_write(LOG_LEVEL_WARN, p->a->execution, p->a->trace,
				  "the sidecar did not drain");
		p->drained = true;
		pod_destroy(p);
		pod_report(p);
	}
}

/* --- life ----------------------------------------------------------------- */

static void pod_on_record_full(void *ctx)
{
	struct pod *p = ctx;

	if (p->runner)
		runner_link_pause(p->runner);
}

static void pod_on_record_room(void *ctx)
{
	struct pod *p = ctx;

	if (p->runner)
		runner_link_resume(p->runner);
}

static void pod_on_record_upload(void *ctx, const struct log_point *from,
				 const struct log_point *to)
{
	struct pod *p = ctx;

	journal_output(p->config.journal, from, to);
}

static void pod_on_record_taken(void *ctx, const struct log_position *at)
{
	struct pod *p = ctx;

	if (p->runner && !p->runner_done && p->a->keep_ms &&
	    runner_link_taken(p->runner, at) < 0)
		pod_fail_oom(p);
}

static void pod_on_record_resumed(void *ctx)
{
	struct pod *p = ctx;

	p->log_back = true;
	pod_adopt_check(p);
}

static void pod_on_record_started(void *ctx)
{
	struct pod *p = ctx;

	FAIL_POINT("pod.started");
	p->started = true;
	pod_check_assign(p);
}

static void pod_on_record_ended(void *ctx)
{
	pod_end(ctx);
}

static void pod_on_record_refused(void *ctx, const char *why)
{
	pod_abandon(ctx, why);
}

int pod_init(struct pod *p, const char *id)
{
	static const struct record_ops ops = {
		.on_full = pod_on_record_full,
		.on_room = pod_on_record_room,
		.on_upload = pod_on_record_upload,
		.on_taken = pod_on_record_taken,
		.on_resumed = pod_on_record_resumed,
		.on_started = pod_on_record_started,
		.on_ended = pod_on_record_ended,
		.on_refused = pod_on_record_refused,
	};

	snprintf(p->id, sizeof(p->id), "%s", id);
	if (p->config.executor_ops->adopt)
		p->a->keep_ms = p->a->lease_ms / POD_KEEP_OF * POD_KEEP;
	p->facts.detail = p->detail;
	p->facts.timeout_ms = p->a->timeout_ms;
	p->facts.memory_mb = p->a->memory_mb;
	cgroup_usage_init(&p->measured);
	cgroup_usage_init(&p->live);
	p->facts.measured = &p->measured;
	telemetry_begin(&p->telemetry, p->config.sampler);
	p->facts.telemetry = &p->telemetry;
	p->deadline = evtimer_new(p->config.base, pod_on_deadline, p);
	if (!p->deadline)
		return -ENOMEM;
	return record_new(&p->record, p->config.base, p->config.client, p->a,
			  &ops, p);
}

/* What the next process needs to know of it. */
static void pod_write_place(struct pod *p)
{
	const struct executor_ops *ops = p->config.executor_ops;
	char boot[PROCESS_BOOT_ID_BYTES];

	process_boot_id(boot);
	FAIL_POINT("pod.made");
	journal_write(p->config.journal, WAL_POD_CREATED,
		      json_pack("{s:s,s:s,s:s,s:o}", "pod", p->id, "executor",
				ops->name, "boot", boot, "place",
				ops->describe ? ops->describe(p->place)
					      : json_null()));
}

static void pod_create_place(struct pod *p)
{
	struct executor_spec spec;
	int r;

	pod_set_deadline(p, POD_CREATE_MS);
	assignment_executor_spec(p->a, p->id, &spec);
	r = p->config.executor_ops->create(p->config.executor, &spec,
					   &pod_executor_events, p, &p->place);
	if (r >= 0) {
		pod_write_place(p);
		return;
	}
	p->place = NULL;
	p->destroyed = true;
	snprintf(p->doom, sizeof(p->doom), "the %s pod cannot be made: %s",
		 p->config.executor_ops->name, strerror(-r));
	pod_set_deadline(p, 0);
}

struct pod *pod_alloc(const struct pod_config *config, struct assignment *a,
		      const struct pod_ops *ops, void *ctx)
{
	struct pod *p = calloc(1, sizeof(*p));

	if (!p) {
		assignment_free(a);
		journal_entry_free(config->journal);
		return NULL;
	}
	p->config = *config;
	p->a = a;
	p->ops = ops;
	p->ctx = ctx;
	p->ending = WAL_LOST;
	return p;
}

int pod_new(struct pod **out, const struct pod_config *config,
	    struct assignment *assignment, const struct pod_ops *ops, void *ctx)
{
	struct pod *p = pod_alloc(config, assignment, ops, ctx);
	char id[ID_MAX_BYTES];
	int r;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	id_new("pod", id);
	r = pod_init(p, id);
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
	pod_drop_sidecar(p);
	runner_link_free(p->runner);
	if (p->place)
		p->config.executor_ops->destroy(p->place, NULL, NULL);
	record_free(p->record);
	journal_entry_free(p->config.journal);
	json_decref(p->ending_data);
	if (p->deadline)
		event_free(p->deadline);
	telemetry_deinit(&p->telemetry);
	assignment_free(p->a);
	free(p);
}

const char *pod_id(const struct pod *p)
{
	return p->id;
}

const char *pod_execution(const struct pod *p)
{
	return p->a->execution;
}

int64_t pod_epoch(const struct pod *p)
{
	return p->a->epoch;
}

json_t *pod_status(const struct pod *p)
{
	const struct executor_ops *ops = p->config.executor_ops;
	struct cgroup_usage live = p->live, measured;

	cgroup_usage_init(&measured);
	if (p->place && ops->measure)
		ops->measure(p->place, &measured);
	usage_merge_live(&live, &measured);
	return usage_live_json(&live, p->a->execution, p->a->job,
			       pod_states[p->state].told);
}

bool pod_may_run_elsewhere(const struct pod *p)
{
	return p->a->retries > 0;
}
