#include "backend/orphans.h"

#include <string.h>

#include "backend/backend.h"
#include "backend/job_change.h"
#include "backend/live.h"
#include "backend/store_job.h"
#include "common/log.h"

static void orphans_cancel(struct backend *b);

static void on_cancelled(int r, const struct store_result *result, void *ctx)
{
	struct backend *b = ctx;

	if (r) {
		log_error("-", "jobs whose caller has ended go on: %s",
			  result->message);
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++)
		job_changed(b, &result->jobs.items[i]);
	if (result->jobs.n == STORE_LIST_MAX)
		orphans_cancel(b);
}

static void orphans_cancel(struct backend *b)
{
	int r = store_job_cancel_orphans(
		b->store, (struct store_done){ NULL, on_cancelled, b });

	if (r)
		log_error("-", "jobs whose caller has ended go on: %s",
			  strerror(-r));
}

void orphans_note(struct backend *b, const char *execution)
{
	struct live_execution *x = live_find(b->live, execution);

	if (x)
		x->has_bound = true;
	else
		orphans_cancel(b);
}

void orphans_job_changed(struct backend *b, const struct store_job *job)
{
	const struct live_execution *x =
		job->execution ? live_find(b->live, job->execution) : NULL;

	if (x && x->has_bound && !job_state_live(job->state))
		orphans_cancel(b);
}

void orphans_look(struct backend *b)
{
	orphans_cancel(b);
}

void orphans_start(struct backend *b)
{
	live_assume_bound(b->live);
	orphans_cancel(b);
}
