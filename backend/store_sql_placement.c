#include "backend/store_sql_placement.h"

#include <errno.h>
#include <string.h>

#include "backend/store_sql_job.h"
#include "common/agent_labels.h"
#include "common/options.h"

#define PLACEMENT_EXECUTORS_MAX 4 /* of an agent; there are three */
#define PLACEMENTS_AT_ONCE 32     /* of a list that grows */

/* ---------------------------------------------------------------- submit */

/* Nothing waits with it, nothing that runs comes back to it, and nobody who
 * has just read its number is about to use it: placement_touch(). */
static int placement_sweep(struct db *db, int64_t now_ms)
{
	return db_exec(db,
		       "DELETE FROM placements WHERE used_ms < ?1 AND id NOT "
		       "IN (SELECT placement FROM jobs WHERE state < 3)",
		       DB_ARGS(db_int(now_ms - SQL_PLACEMENT_KEEP_MS)));
}

static int placement_check_room(struct db *db, struct store_call *call,
				int64_t now_ms)
{
	static const char count[] = "SELECT count(*) FROM placements";
	int64_t n;
	int r = db_query_int(db, count, DB_NO_ARGS, &n);

	if (r == 0 && n >= SQL_PLACEMENTS_MAX) {
		r = placement_sweep(db, now_ms);
		if (r == 0)
			r = db_query_int(db, count, DB_NO_ARGS, &n);
	}
	if (r || n < SQL_PLACEMENTS_MAX)
		return r;
	return store_call_fail(call, STORE_E_LIMIT,
			       "jobs wait with %d combinations of executor, "
			       "agent and labels already, which is the limit; "
			       "try again later",
			       SQL_PLACEMENTS_MAX);
}

/* 0, or STORE_E_NOT_FOUND: there is none, or none any more. */
static int placement_find(struct db *db, const struct store_job_new *job,
			  int64_t now_ms, int64_t *id)
{
	struct db_row *row;
	int64_t used_ms;
	int r = db_query(db,
			 "SELECT id, used_ms FROM placements WHERE "
			 "executor = ?1 AND want_agent = ?2 AND "
			 "want_labels = ?3",
			 DB_ARGS(db_str(job->executor),
				 db_str(job->want_agent ? job->want_agent : ""),
				 db_str(job->want_labels ? job->want_labels
							 : "")),
			 &row);

	if (r)
		return r;
	*id = db_column_int64(row, 0);
	used_ms = db_column_int64(row, 1);
	if (used_ms > now_ms - SQL_PLACEMENT_TOUCH_MS)
		return 0;
	r = db_exec(db, "UPDATE placements SET used_ms = ?2 WHERE id = ?1",
		    DB_ARGS(db_int(*id), db_int(now_ms)));
	if (r < 0)
		return r;
	return db_changes(db) == 1 ? 0 : STORE_E_NOT_FOUND;
}

int sql_placement_take(struct db *db, struct store_call *call,
		       const struct store_job_new *job, int64_t *id)
{
	int64_t now_ms = db_now_ms(db);
	int r = placement_find(db, job, now_ms, id);

	if (r != STORE_E_NOT_FOUND)
		return r;
	r = placement_check_room(db, call, now_ms);
	if (r)
		return r;
	r = db_exec(db,
		    "INSERT INTO placements (executor, want_agent, "
		    "want_labels, used_ms) VALUES (?1, ?2, ?3, ?4) "
		    "ON CONFLICT (executor, want_agent, want_labels) "
		    "DO UPDATE SET used_ms = excluded.used_ms",
		    DB_ARGS(db_str(job->executor),
			    db_str(job->want_agent ? job->want_agent : ""),
			    db_str(job->want_labels ? job->want_labels : ""),
			    db_int(now_ms)));
	if (r == 0)
		r = placement_find(db, job, now_ms, id);
	return r == STORE_E_NOT_FOUND ? -EIO : r;
}

/* ----------------------------------------------------------------- claim */

/* clang-format off */
#define PLACEMENT_FIRST(column, index)                                    \
	"(SELECT j." column " FROM jobs j " index                          \
	"WHERE j.placement = p.id AND " SQL_CLAIMABLE(j)                   \
	" ORDER BY j.turn, j.seq LIMIT 1)"
#define PLACEMENT_SEARCH(index)                                            \
	"SELECT p.id, p.want_labels, " PLACEMENT_FIRST("turn", index) ", " \
	PLACEMENT_FIRST("seq", index) " FROM placements p "                \
	"WHERE p.executor IN (?2, ?3, ?4, ?5, ?6) "                        \
	"AND p.want_agent IN ('', ?1) AND NOT EXISTS (SELECT 1 FROM "      \
	"agents a WHERE a.name = ?1 AND (a.drained <> 0 OR "               \
	"a.accepting = 0))"
/* clang-format on */

const struct db_sql sql_placement_search = {
	{ [DB_SQLITE] = PLACEMENT_SEARCH("INDEXED BY jobs_queue "),
	  [DB_POSTGRES] = PLACEMENT_SEARCH("") }
};

/* What may be claimed with these executors: NULL-terminated names. */
static void placement_executors(struct store_call *call, const char *list,
				const char *out[PLACEMENT_EXECUTORS_MAX + 1])
{
	size_t n = 0, len;

	/* ssh is for jobs that say so. */
	if (strcmp(list, "ssh") != 0)
		out[n++] = "auto";
	for (const char *at = list; at && n < PLACEMENT_EXECUTORS_MAX + 1;) {
		const char *item = option_next_item(&at, &len);
		char *name = arena_alloc(&call->arena, len + 1);

		if (!name)
			return;
		memcpy(name, item, len);
		name[len] = '\0';
		out[n++] = name;
	}
}

/* Whether the labels that it asks for (column 1) are among those. */
static bool placement_offered(struct db_row *row, const char *labels,
			      struct arena *a)
{
	const char *wanted = db_column_len(row, 1) ? db_column_str(row, 1, a)
						   : "";

	return wanted && agent_labels_within(wanted, labels);
}

static int placement_add(struct store_call *call, struct db_row *row,
			 struct sql_placement **list, size_t *n)
{
	struct sql_placement *grown;

	if (*n % PLACEMENTS_AT_ONCE == 0) {
		grown = arena_alloc(&call->arena,
				    (*n + PLACEMENTS_AT_ONCE) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		if (*n)
			memcpy(grown, *list, *n * sizeof(*grown));
		*list = grown;
	}
	(*list)[(*n)++] = (struct sql_placement){
		.id = db_column_int64(row, 0),
		.turn = db_column_int64(row, 2),
		.seq = db_column_int64(row, 3),
	};
	return 0;
}

int sql_placement_list(struct db *db, struct store_call *call,
		       const struct store_claim *claim,
		       struct sql_placement **out, size_t *n)
{
	const char *x[PLACEMENT_EXECUTORS_MAX + 1] = { NULL };
	const char *labels = claim->labels ? claim->labels : "";
	struct db_row *row;
	int r;

	placement_executors(call, claim->executors, x);
	*out = NULL;
	*n = 0;
	if (call->arena.failed)
		return -ENOMEM;
	r = db_query(db, db_text(db, &sql_placement_search),
		     DB_ARGS(db_str(claim->agent), db_str(x[0]), db_str(x[1]),
			     db_str(x[2]), db_str(x[3]), db_str(x[4])),
		     &row);
	for (; r == 0 && *n < SQL_PLACEMENTS_MAX; r = db_next(db, row))
		if (!db_column_is_null(row, 3) &&
		    placement_offered(row, labels, &call->arena) &&
		    placement_add(call, row, out, n))
			return -ENOMEM;
	return MIN(r, 0);
}
