/* Agents: who was seen, with what, and who is to take no more. */
#include <errno.h>

#include "backend/store_agent.h"
#include "backend/store_queue.h"
#include "backend/store_sql_job.h"

#define AGENT_COLUMNS                                                 \
	"name, executors, slots, labels, address, backend, drained, " \
	"accepting, code, problem, connected_ms, seen_ms, snapshot, pods"
/* Leases that are out. */
#define AGENT_RUNNING                                                   \
	", (SELECT count(*) FROM executions WHERE agent = agents.name " \
	"AND lease_until_ms IS NOT NULL)"

/* Reads AGENT_COLUMNS AGENT_RUNNING, in their order. */
static void agent_read_row(struct db_row *row, struct arena *a,
			   struct store_agent *out)
{
	int i = 0;

	*out = (struct store_agent){ 0 };
	out->name = db_column_str(row, i++, a);
	out->executors = db_column_str(row, i++, a);
	out->slots = db_column_int64(row, i++);
	out->labels = db_column_str(row, i++, a);
	out->address = db_column_str(row, i++, a);
	out->backend = db_column_str(row, i++, a);
	out->drained = db_column_int(row, i++);
	out->accepting = db_column_int(row, i++);
	out->code = db_column_str(row, i++, a);
	out->problem = db_column_str(row, i++, a);
	out->connected_ms = db_column_int64(row, i++);
	out->seen_ms = db_column_int64(row, i++);
	out->snapshot = db_column_blob(row, i++, a);
	out->pods = db_column_blob(row, i++, a);
	out->running = db_column_int64(row, i++);
}

static int agent_load(struct db *db, struct store_call *call, const char *name)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT " AGENT_COLUMNS AGENT_RUNNING
			 " FROM agents WHERE name = ?1",
			 DB_ARGS(db_str(name)), &row);

	if (r == 0)
		agent_read_row(row, &call->arena, &call->result.agent);
	if (r == STORE_E_NOT_FOUND)
		return store_call_fail(call, r,
				       "there is no agent %s "
				       "('cronium agents' shows them)",
				       name);
	return r;
}

/* Those that were not seen for long are no agents any more. */
static int agent_sweep(struct db *db, int64_t now_ms)
{
	return db_exec(db, "DELETE FROM agents WHERE seen_ms < ?1",
		       DB_ARGS(db_int(now_ms - STORE_AGENT_KEEP_MS)));
}

static int agent_check_room(struct db *db, struct store_call *call)
{
	int64_t n;
	int r = db_query_int(db, "SELECT count(*) FROM agents", DB_NO_ARGS, &n);

	if (r || n < STORE_AGENTS_MAX)
		return r;
	return store_call_fail(call, STORE_E_LIMIT,
			       "there are %d agents already, which is the "
			       "limit; forget some",
			       STORE_AGENTS_MAX);
}

int sql_agent_connect(struct db *db, struct store_call *call)
{
	const struct store_agent_connect *c = call->request;
	int64_t now_ms = db_now_ms(db);
	int r = agent_sweep(db, now_ms);

	if (r == 0)
		r = agent_check_room(db, call);
	if (r)
		return r;
	r = db_exec(db,
		    "INSERT INTO agents (name, executors, slots, labels, "
		    "address, backend, connected_ms, seen_ms) "
		    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) "
		    "ON CONFLICT (name) DO UPDATE SET "
		    "executors = excluded.executors, slots = excluded.slots, "
		    "labels = excluded.labels, address = excluded.address, "
		    "backend = excluded.backend, accepting = 1, code = NULL, "
		    "problem = NULL, pods = NULL, "
		    "connected_ms = excluded.connected_ms, "
		    "seen_ms = excluded.seen_ms",
		    DB_ARGS(db_str(c->name), db_str(c->executors),
			    db_int(c->slots), db_str(c->labels),
			    db_str(c->address), db_str(c->backend),
			    db_int(now_ms)));
	if (r == 0)
		r = db_notify(db, STORE_NOTICE_AGENT, c->name, 0);
	return r ? r : agent_load(db, call, c->name);
}

int sql_agent_disconnect(struct db *db, struct store_call *call)
{
	const struct store_agent_disconnect *d = call->request;

	int r = db_exec(db,
			"UPDATE agents SET backend = NULL, seen_ms = ?3 "
			"WHERE name = ?1 AND backend = ?2",
			DB_ARGS(db_str(d->name), db_str(d->backend),
				db_int(db_now_ms(db))));

	return r ? r : db_notify(db, STORE_NOTICE_AGENT, d->name, 0);
}

int sql_agent_drain(struct db *db, struct store_call *call)
{
	const struct store_agent_drain *d = call->request;
	int r = db_exec(db, "UPDATE agents SET drained = ?2 WHERE name = ?1",
			DB_ARGS(db_str(d->name), db_int(d->drained)));

	if (r == 0)
		r = db_notify(db, STORE_NOTICE_AGENT, d->name, 0);
	return r ? r : agent_load(db, call, d->name);
}

int sql_agent_forget(struct db *db, struct store_call *call)
{
	const struct store_agent_forget *f = call->request;
	const struct store_agent *a = &call->result.agent;
	int r = agent_load(db, call, f->name);

	if (r)
		return r;
	if (a->backend && a->seen_ms > db_now_ms(db) - STORE_AGENT_SILENT_MS)
		return store_call_fail(call, STORE_E_STATE,
				       "the agent %s is connected: stop it "
				       "first, or drain it",
				       f->name);
	r = db_exec(db, "DELETE FROM agents WHERE name = ?1",
		    DB_ARGS(db_str(f->name)));
	return r ? r : db_notify(db, STORE_NOTICE_AGENT, f->name, 0);
}

int sql_agent_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;

	return agent_load(db, call, request->id);
}

int sql_agent_list(struct db *db, struct store_call *call)
{
	struct store_agent *agents;
	size_t n = 0;
	int64_t room;
	struct db_row *row;
	int r = db_query_int(db, "SELECT count(*) FROM agents", DB_NO_ARGS,
			     &room);

	if (r < 0)
		return r;
	agents = arena_zalloc(&call->arena,
			      ((size_t)room + 1) * sizeof(*agents));
	if (!agents)
		return -ENOMEM;
	r = db_query(db,
		     "SELECT " AGENT_COLUMNS AGENT_RUNNING " FROM agents "
		     "WHERE seen_ms >= ?1 ORDER BY name",
		     DB_ARGS(db_int(db_now_ms(db) - STORE_AGENT_KEEP_MS)),
		     &row);
	for (; r == 0 && n < (size_t)room; r = db_next(db, row))
		agent_read_row(row, &call->arena, &agents[n++]);
	call->result.agents.items = agents;
	call->result.agents.n = n;
	return MIN(r, 0);
}

/* ---------------------------------------------------------------- status */

/* Others are told when an agent begins or ceases to take jobs, or some. */
static int agent_accepts(struct db *db, const char *name,
			 const struct store_agent_status *status)
{
	const char *code = status->code ? status->code : "";
	int64_t n;
	int r = db_exec(db,
			"UPDATE agents SET accepting = ?2 WHERE name = ?1 AND "
			"(accepting <> ?2 OR COALESCE(code, '') <> ?3)",
			DB_ARGS(db_str(name), db_int(status->accepting),
				db_str(code)));

	if (r < 0)
		return r;
	n = db_changes(db);
	return n <= 0 ? (int)n : db_notify(db, STORE_NOTICE_AGENT, name, 0);
}

int sql_agent_status(struct db *db, const char *name,
		     const struct store_agent_status *status)
{
	int64_t now_ms = db_now_ms(db);
	int r = status->given ? agent_accepts(db, name, status) : 0;

	if (r < 0)
		return r;
	if (!status->given)
		return db_exec(db,
			       "UPDATE agents SET seen_ms = ?2 WHERE name = ?1",
			       DB_ARGS(db_str(name), db_int(now_ms)));
	return db_exec(db,
		       "UPDATE agents SET seen_ms = ?2, code = ?3, "
		       "problem = ?4, snapshot = ?5, pods = ?6 "
		       "WHERE name = ?1",
		       DB_ARGS(db_str(name), db_int(now_ms),
			       db_str(status->code), db_str(status->problem),
			       db_blob_or_null(&status->snapshot),
			       db_blob_or_null(&status->pods)));
}
