/*
 * Placements: the combinations of executor, wanted agent and wanted labels
 * that jobs wait with. There are few of them, however many jobs there are: a
 * claim looks at each one that suits its agent, and in each at one job only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/db.h"
#include "backend/store_job.h"
#include "backend/store_queue.h"
#include "common/macro.h"

struct store_call;
struct store_claim;
struct store_job_new;

/* Where there are so many, no job can be submitted that would make another
 * one, until nothing has waited with one of them for an hour. */
#define SQL_PLACEMENTS_MAX 1000
#define SQL_PLACEMENT_KEEP_MS (60LL * 60 * 1000)
/* How precisely it is known when a placement was last used. */
#define SQL_PLACEMENT_TOUCH_MS (60LL * 1000)

/* Of a new job: made where there is none like it. 0 with its number,
 * STORE_E_LIMIT, or negative errno. */
int sql_placement_take(struct db *db, struct store_call *call,
		       const struct store_job_new *job, int64_t *id) MUST_CHECK;

/* Agent (?1) and executors: placements, each with the turn and the seq of its
 * first job. */
extern const struct db_sql sql_placement_search;

/* With the first of the jobs that wait there and may be claimed. */
struct sql_placement {
	int64_t id, turn, seq;
};
/* Those that suit the agent of the claim and where a job waits; none where the
 * agent takes no jobs. */
int sql_placement_list(struct db *db, struct store_call *call,
		       const struct store_claim *claim,
		       struct sql_placement **out, size_t *n) MUST_CHECK;
