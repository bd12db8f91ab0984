#include "backend/job_change.h"

#include "backend/backend.h"
#include "backend/change_hub.h"
#include "backend/follow.h"
#include "backend/job_json.h"
#include "backend/job_place.h"
#include "backend/live.h"
#include "backend/neighbours.h"
#include "backend/orphans.h"
#include "backend/queue.h"
#include "backend/retries.h"
#include "backend/store.h"
#include "backend/streams.h"
#include "backend/waits.h"
#include "common/fail_point.h"
#include "common/log.h"

void job_publish(struct backend *b, const struct store_job *job)
{
	struct buf text = { 0 };
	struct follow_event ev = { .ended = job_state_ended(job->state) };
	struct waiting waiting;

	if (!follow_wanted(b->follow, job->id))
		return;
	if (job_waiting(b, job, &waiting) ||
	    job_json_append(&text, job, &waiting)) {
		log_write(LOG_LEVEL_WARN, job->id, job->trace_id,
			  "followers were not told: out of memory");
	} else {
		ev.job_json = (const char *)text.data;
		ev.len = text.len;
		follow_publish(b->follow, job->id, &ev);
		if (job->state == JOB_QUEUED)
			waits_told(b->waits, job, &waiting);
	}
	buf_deinit(&text);
}

/* It is committed, and nobody was told. */
static void job_committed(enum job_state state)
{
	if (state == JOB_QUEUED)
		FAIL_POINT("backend.job.queued");
	if (state == JOB_CLAIMED)
		FAIL_POINT("backend.job.claimed");
	if (state == JOB_RUNNING)
		FAIL_POINT("backend.job.running");
	if (job_state_ended(state))
		FAIL_POINT("backend.job.ended");
}

static void job_end_execution(struct backend *b, const char *execution)
{
	change_hub_execution_ended(b->changes, execution);
	neighbours_execution_ended(b->neighbours, execution);
}

/* Everybody here is told. */
static void job_spread(struct backend *b, const struct store_job *job)
{
	struct live_execution *x = live_find_job(b->live, job->id);
	char before[ID_MAX_BYTES] = "";

	if (x)
		snprintf(before, sizeof(before), "%s", x->id);
	orphans_job_changed(b, job);
	if (live_update(b->live, job))
		log_write(LOG_LEVEL_ERROR, job->id, job->trace_id,
			  "out of memory: tokens of %s are refused",
			  job->execution);
	if (job->execution && !job_state_live(job->state))
		job_end_execution(b, job->execution);
	if (*before && !live_find(b->live, before))
		job_end_execution(b, before);
	job_publish(b, job);
	streams_job_changed(b->streams, job);
	retries_job_changed(b->retries, job);
}

void job_heard(struct backend *b, const struct store_job *job)
{
	log_write(LOG_LEVEL_DEBUG, job->id, job->trace_id,
		  "%s, by another backend", job_state_name(job->state));
	job_spread(b, job);
	queue_job_heard(b->queue, job);
	waits_job_changed(b->waits, job);
}

void job_changed(struct backend *b, const struct store_job *job)
{
	job_committed(job->state);
	log_write(LOG_LEVEL_INFO, job->id, job->trace_id, "%s%s%s%s%s",
		  job_state_name(job->state),
		  job->execution ? " execution=" : "",
		  job->execution ? job->execution : "", job->reason ? ": " : "",
		  job->reason ? job->reason : "");
	neighbours_job_changed(b->neighbours, job);
	job_spread(b, job);
	queue_job_changed(b->queue, job);
	waits_job_changed(b->waits, job);
}
