/* Hosts that the executor ssh may be sent to. */
#include <errno.h>

#include "backend/store_host.h"
#include "backend/store_sql_job.h"
#include "common/clock.h"

#define HOST_COLUMNS \
	"name, \"user\", address, port, host_key, mode, read_only, created_ms"

/* Reads HOST_COLUMNS: in their order. */
static void host_read_row(struct db_row *row, struct arena *a,
			  struct store_host *out)
{
	out->name = db_column_str(row, 0, a);
	out->user = db_column_str(row, 1, a);
	out->address = db_column_str(row, 2, a);
	out->port = db_column_int64(row, 3);
	out->host_key = db_column_str(row, 4, a);
	out->mode = db_column_str(row, 5, a);
	out->read_only = db_column_int(row, 6);
	out->created_ms = db_column_int64(row, 7);
}

/* 0 or STORE_E_NOT_FOUND, or negative errno. */
static int host_load(struct db *db, struct store_call *call, const char *name,
		     struct store_host *out)
{
	struct db_row *row;
	int r = db_query(db,
			 "SELECT " HOST_COLUMNS " FROM hosts WHERE name = ?1",
			 DB_ARGS(db_str(name)), &row);

	if (r == 0)
		host_read_row(row, &call->arena, out);
	return r;
}

static int host_check_room(struct db *db, struct store_call *call)
{
	struct db_row *row;
	int r = db_query(db, "SELECT count(*) FROM hosts", DB_NO_ARGS, &row);

	if (r || db_column_int64(row, 0) < STORE_HOSTS_MAX)
		return MIN(r, 0);
	return store_call_fail(call, STORE_E_LIMIT,
			       "there are %d hosts already, which is the "
			       "limit; remove some",
			       STORE_HOSTS_MAX);
}

int sql_host_put(struct db *db, struct store_call *call)
{
	const struct store_host_put *put = call->request;
	const struct store_host *h = &put->host;
	struct store_host old;
	int r = host_load(db, call, h->name, &old);

	call->result.created = r == STORE_E_NOT_FOUND;
	if (r == STORE_E_NOT_FOUND)
		r = host_check_room(db, call);
	if (r)
		return r;
	r = db_exec(db,
		    "INSERT INTO hosts (" HOST_COLUMNS ") VALUES (?1, ?2, ?3, "
		    "?4, ?5, ?6, ?7, ?8) ON CONFLICT (name) DO UPDATE SET "
		    "\"user\" = excluded.\"user\", address = excluded.address, "
		    "port = excluded.port, host_key = excluded.host_key, "
		    "mode = excluded.mode, read_only = excluded.read_only",
		    DB_ARGS(db_str(h->name), db_str(h->user),
			    db_str(h->address), db_int(h->port),
			    db_str(h->host_key), db_str(h->mode),
			    db_int(h->read_only), db_int(clock_wall_ms())));
	if (r == 0)
		r = db_notify(db, STORE_NOTICE_HOST, h->name, 0);
	return r ? r : host_load(db, call, h->name, &call->result.host);
}

static int host_unknown(struct store_call *call, const char *name)
{
	return store_call_fail(call, STORE_E_NOT_FOUND, "there is no host %s",
			       name);
}

int sql_host_delete(struct db *db, struct store_call *call)
{
	const struct store_host_delete *del = call->request;
	int r = db_exec(db, "DELETE FROM hosts WHERE name = ?1",
			DB_ARGS(db_str(del->name)));
	int64_t n = r < 0 ? r : db_changes(db);

	if (n < 0)
		return (int)n;
	if (n)
		return db_notify(db, STORE_NOTICE_HOST, del->name, 0);
	return host_unknown(call, del->name);
}

int sql_host_get(struct db *db, struct store_call *call)
{
	const struct store_request_id *request = call->request;
	int r = host_load(db, call, request->id, &call->result.host);

	return r == STORE_E_NOT_FOUND ? host_unknown(call, request->id) : r;
}

int sql_host_list(struct db *db, struct store_call *call)
{
	struct store_host *hosts =
		arena_zalloc(&call->arena, STORE_HOSTS_MAX * sizeof(*hosts));
	size_t n = 0;
	struct db_row *row;
	int r;

	if (!hosts)
		return -ENOMEM;
	r = db_query(db, "SELECT " HOST_COLUMNS " FROM hosts ORDER BY name",
		     DB_NO_ARGS, &row);
	for (; r == 0 && n < STORE_HOSTS_MAX; r = db_next(db, row))
		host_read_row(row, &call->arena, &hosts[n++]);
	call->result.hosts.items = hosts;
	call->result.hosts.n = n;
	return MIN(r, 0);
}

/* -------------------------------------------------------------- for jobs */

int sql_host_check(struct db *db, struct store_call *call, const char *name)
{
	struct store_host host;
	int r;

	if (!name)
		return 0;
	r = host_load(db, call, name, &host);
	if (r != STORE_E_NOT_FOUND)
		return r;
	return store_call_fail(call, STORE_E_HOST,
			       "host: there is no host %s: cronium hosts add",
			       name);
}

int sql_host_load(struct db *db, struct store_call *call, const char *name,
		  const struct store_host **out)
{
	struct store_host *host = arena_zalloc(&call->arena, sizeof(*host));
	int r;

	if (!host)
		return -ENOMEM;
	r = host_load(db, call, name, host);
	*out = r == 0 ? host : NULL;
	return MIN(r, 0);
}
