/* PostgreSQL's statements and rows: sent in pipeline mode. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/db_postgres_impl.h"
#include "common/json.h"

#define POSTGRES_INT_BYTES 24
#define POSTGRES_BINARY 1

/* ---------------------------------------------------------------- results */

static void postgres_keep(struct postgres_connection *c,
			  enum postgres_expect what,
			  struct postgres_statement *s, PGresult *result)
{
	if (what == POSTGRES_DONE)
		c->changes = strtoll(PQcmdTuples(result), NULL, 10);
	if (what != POSTGRES_ROWS) {
		PQclear(result);
		return;
	}
	PQclear(s->result);
	s->result = result;
	s->at = 0;
}

/* The first error is the cause of all that follow. */
static void postgres_fail(struct db *db, struct postgres_statement *s,
			  enum postgres_expect what, PGresult *result)
{
	struct postgres_connection *c = postgres_of(db);

	if (what == POSTGRES_PREPARED)
		s->prepared = false;
	if (!c->aborted && !c->r)
		c->r = postgres_error(db, result);
	c->aborted = true;
	PQclear(result);
}

static int postgres_read_sync(struct db *db)
{
	PGresult *result;
	int r = postgres_take_result(db, &result);

	if (r < 0)
		return r;
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		PQclear(result);
		return postgres_lose(db, "its answers are out of step");
	}
	PQclear(result);
	postgres_of(db)->aborted = false;
	return 0;
}

/* The result of one statement, and the NULL behind it. */
static int postgres_read(struct db *db, enum postgres_expect what,
			 struct postgres_statement *s)
{
	struct postgres_connection *c = postgres_of(db);
	PGresult *result, *end;
	int r;

	if (what == POSTGRES_SYNC)
		return postgres_read_sync(db);
	r = postgres_take_result(db, &result);
	if (r < 0)
		return r;
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		postgres_keep(c, what, s, result);
		break;
	default:
		postgres_fail(db, s, what, result);
		break;
	}
	r = postgres_take_result(db, &end);
	PQclear(end);
	if (r == 0 && end)
		return postgres_lose(db, "its answers are out of step");
	return r;
}

static int postgres_read_all(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	size_t n = c->n_expected;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = postgres_read(db, c->expected[i].what,
				  c->expected[i].statement);
	c->n_expected = 0;
	return r;
}

static void postgres_expect(struct postgres_connection *c,
			    enum postgres_expect what,
			    struct postgres_statement *s)
{
	c->expected[c->n_expected].what = what;
	c->expected[c->n_expected++].statement = s;
}

int postgres_sync(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);

	if (!PQpipelineSync(c->link))
		return postgres_lose(db, "the connection is lost");
	postgres_expect(c, POSTGRES_SYNC, NULL);
	return 0;
}

int postgres_settle(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	int r = 0;

	if (c->link && c->n_expected) {
		if (!PQsendFlushRequest(c->link))
			return postgres_lose(db, "the connection is lost");
		r = postgres_read_all(db);
	}
	/* After an error the server waits for this. */
	if (r == 0 && c->link && c->aborted) {
		r = postgres_sync(db);
		if (r == 0)
			r = postgres_read_all(db);
	}
	if (c->r == -ECONNRESET && c->link)
		postgres_disconnect(db); /* the server said so */
	return c->r;
}

/* ---------------------------------------------------------------- sending */

static struct postgres_statement *postgres_find(struct db *db, const char *sql)
{
	struct postgres_connection *c = postgres_of(db);
	struct postgres_statement *s;

	HASH_FIND_PTR(c->statements, &sql, s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->row.db = db;
	s->sql = sql;
	snprintf(s->name, sizeof(s->name), "s%u", HASH_COUNT(c->statements));
	HASH_ADD_PTR(c->statements, sql, s);
	if (s->hh.tbl)
		return s;
	free(s);
	return NULL;
}

/* ?1 is $1. */
static int postgres_prepare(struct db *db, struct postgres_statement *s)
{
	struct postgres_connection *c = postgres_of(db);
	_cleanup_free_ char *sql = strdup(s->sql);
	int ok;

	if (!sql)
		return -ENOMEM;
	for (char *at = sql; (at = strchr(at, '?')); at++)
		*at = '$';
	ok = PQsendPrepare(c->link, s->name, sql, 0, NULL);
	if (!ok)
		return postgres_lose(db, "the connection is lost");
	s->prepared = true;
	postgres_expect(c, POSTGRES_PREPARED, s);
	return 0;
}

struct postgres_args {
	int n;
	const char *values[POSTGRES_ARGS_MAX];
	int lengths[POSTGRES_ARGS_MAX], formats[POSTGRES_ARGS_MAX];
	char integers[POSTGRES_ARGS_MAX][POSTGRES_INT_BYTES];
	char *mended[POSTGRES_ARGS_MAX]; /* texts that were not UTF-8 */
};

/* A text that was cut in the middle of a character, or came from a program
 * that knows no UTF-8: what is wrong becomes '?'. */
static char *postgres_mend(const char *s)
{
	char *copy = strdup(s);
	size_t len;

	for (char *at = copy; at && *at; at += len) {
		for (len = 1; len < 4 && !json_utf8_valid(at, len); len++)
			if (!at[len])
				break;
		if (json_utf8_valid(at, len))
			continue;
		*at = '?';
		len = 1;
	}
	return copy;
}

static int postgres_add_arg(struct postgres_args *a, const struct db_arg *arg)
{
	int i = a->n++;

	a->formats[i] = arg->type == DB_BLOB ? POSTGRES_BINARY : 0;
	a->lengths[i] = (int)arg->len;
	switch (arg->type) {
	case DB_INT:
		snprintf(a->integers[i], POSTGRES_INT_BYTES, "%" PRId64,
			 arg->integer);
		a->values[i] = a->integers[i];
		return 0;
	case DB_STR:
		a->values[i] = arg->data;
		if (json_utf8_valid(arg->data, arg->len))
			return 0;
		a->mended[i] = postgres_mend(arg->data);
		a->values[i] = a->mended[i];
		return a->mended[i] ? 0 : -ENOMEM;
	case DB_BLOB:
		a->values[i] = arg->data ? arg->data : "";
		return arg->len > INT32_MAX ? -E2BIG : 0;
	default:
		a->values[i] = NULL;
		return 0;
	}
}

static int postgres_send_args(struct db *db, struct postgres_statement *s,
			      const struct db_arg *args)
{
	struct postgres_args a;
	int r = 0, ok;

	a.n = 0;
	memset(a.mended, 0, sizeof(a.mended));
	for (; r == 0 && args->type != DB_END; args++)
		r = a.n < POSTGRES_ARGS_MAX ? postgres_add_arg(&a, args)
					    : -E2BIG;
	ok = r == 0 &&
	     PQsendQueryPrepared(postgres_of(db)->link, s->name, a.n, a.values,
				 a.lengths, a.formats, POSTGRES_BINARY);
	for (int i = 0; i < a.n; i++)
		free(a.mended[i]);
	if (r == 0 && !ok)
		r = postgres_lose(db, "the connection is lost");
	return r;
}

/* Fails for what is wrong here; what the server says comes with the result. */
static int postgres_send(struct db *db, const char *sql,
			 const struct db_arg *args, enum postgres_expect what,
			 struct postgres_statement **out)
{
	struct postgres_connection *c = postgres_of(db);
	struct postgres_statement *s;
	int r = c->r;

	if (r == 0 && !c->link)
		r = postgres_lose(db, "the connection is lost");
	/* Room for this one, that it is prepared, and a sync. */
	if (r == 0 && c->n_expected > POSTGRES_EXPECTED_MAX - 4)
		r = postgres_settle(db);
	if (r < 0)
		return r;
	s = postgres_find(db, sql);
	if (!s)
		return c->r = -ENOMEM;
	if (!s->prepared)
		r = postgres_prepare(db, s);
	if (r == 0)
		r = postgres_send_args(db, s, args);
	if (r < 0) {
		c->r = c->r ? c->r : r;
		return r;
	}
	postgres_expect(c, what, s);
	*out = s;
	return 0;
}

/* -------------------------------------------------------------- statements */

/* Of those that begin with INSERT, UPDATE or DELETE. */
static bool postgres_is_change(const char *sql)
{
	return *sql == 'I' || *sql == 'U' || *sql == 'D';
}

int postgres_query(struct db *db, const char *sql, const struct db_arg *args,
		   struct db_row **row)
{
	struct postgres_connection *c = postgres_of(db);
	struct postgres_statement *s;
	int r = postgres_send(db, sql, args, POSTGRES_ROWS, &s);

	c->changes_something |= postgres_is_change(sql);
	if (r == 0)
		r = postgres_settle(db);
	if (r < 0)
		return r;
	if (!s->in_use) {
		s->in_use = true;
		s->next = c->active;
		c->active = s;
	}
	*row = &s->row;
	return PQntuples(s->result) ? 0 : STORE_E_NOT_FOUND;
}

int postgres_next(struct db *db UNUSED, struct db_row *row)
{
	struct postgres_statement *s = (struct postgres_statement *)row;

	if (s->at < PQntuples(s->result))
		s->at++;
	return s->at < PQntuples(s->result) ? 0 : STORE_E_NOT_FOUND;
}

int postgres_exec(struct db *db, const char *sql, const struct db_arg *args)
{
	struct postgres_statement *s;

	postgres_of(db)->changes_something |= postgres_is_change(sql);
	return postgres_send(db, sql, args, POSTGRES_DONE, &s);
}

int64_t postgres_changes(struct db *db)
{
	int r = postgres_settle(db);

	return r < 0 ? r : postgres_of(db)->changes;
}

/* Statements in a row are sent in the simple protocol. */
int postgres_script(struct db *db, const char *sql)
{
	struct postgres_connection *c = postgres_of(db);
	int r;

	if (!c->link)
		return postgres_lose(db, "the connection is lost");
	r = postgres_sync(db);
	if (r == 0)
		r = postgres_settle(db);
	if (r < 0)
		return r;
	if (!PQexitPipelineMode(c->link))
		return postgres_lose(db, "its answers are out of step");
	r = postgres_run(db, sql, NULL);
	if (c->link && !PQenterPipelineMode(c->link))
		return postgres_lose(db, "its answers are out of step");
	if (!c->r)
		c->r = r;
	return r;
}

void postgres_reset(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);

	while (c->active) {
		struct postgres_statement *s = c->active;

		c->active = s->next;
		s->in_use = false;
		PQclear(s->result);
		s->result = NULL;
	}
}

void postgres_statements_forget(struct db *db)
{
	struct postgres_statement *s, *next;

	HASH_ITER(hh, postgres_of(db)->statements, s, next)
	{
		s->prepared = false;
	}
}

void postgres_statements_free(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	struct postgres_statement *s, *next;

	HASH_ITER(hh, c->statements, s, next)
	{
		HASH_DEL(c->statements, s);
		PQclear(s->result);
		free(s);
	}
	c->active = NULL;
}

/* ---------------------------------------------------------------- columns */

static struct postgres_statement *postgres_row(struct db_row *row)
{
	return (struct postgres_statement *)row;
}

int postgres_row_count(struct db_row *row)
{
	return PQnfields(postgres_row(row)->result);
}

bool postgres_row_is_null(struct db_row *row, int i)
{
	struct postgres_statement *s = postgres_row(row);

	return PQgetisnull(s->result, s->at, i);
}

/* Integers come in network order, in the size of their type. */
int64_t postgres_row_int(struct db_row *row, int i)
{
	struct postgres_statement *s = postgres_row(row);
	const char *data = PQgetvalue(s->result, s->at, i);
	int len = PQgetlength(s->result, s->at, i);
	uint64_t n = 0;

	for (int k = 0; k < len; k++)
		n = n << 8 | (unsigned char)data[k];
	switch (len) {
	case 2:
		return (int16_t)n;
	case 4:
		return (int32_t)n;
	default:
		return (int64_t)n;
	}
}

bool postgres_row_data(struct db_row *row, int i, const void **data,
		       size_t *len)
{
	struct postgres_statement *s = postgres_row(row);

	*data = NULL;
	*len = 0;
	if (PQgetisnull(s->result, s->at, i))
		return true;
	*data = PQgetvalue(s->result, s->at, i);
	*len = (size_t)PQgetlength(s->result, s->at, i);
	return true;
}
