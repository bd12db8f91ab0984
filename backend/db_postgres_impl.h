/* What db_postgres*.c share. */
#pragma once

#include <libpq-fe.h>
#include <uthash.h>

#include "backend/db_postgres.h"
#include "backend/store_url.h"

#define POSTGRES_ANSWER_MAX_MS 30000    /* to one statement */
#define POSTGRES_CONNECT_MAX_MS 5000    /* one attempt */
#define POSTGRES_AWAY_MAX_MS 5000       /* a restart goes unseen */
#define POSTGRES_RESOLVE_MAX_MS 30000   /* what became of a COMMIT */
#define POSTGRES_STATEMENT_MAX_MS 25000 /* the server gives up before us */
#define POSTGRES_LOCK_MAX_MS 500        /* another backend's transaction */
#define POSTGRES_IDLE_MAX_MS 60000      /* in a transaction: we have hung */
#define POSTGRES_CLOCK_MS 10000         /* the clocks are compared again */
#define POSTGRES_CLOCK_ASK_MAX_MS 1000  /* slower: it says too little */
#define POSTGRES_BACKOFF_MIN_MS 50
#define POSTGRES_BACKOFF_MAX_MS 2000
#define POSTGRES_EXPECTED_MAX 512 /* results that nobody has read yet */
#define POSTGRES_ARGS_MAX 64
#define POSTGRES_VERSION_MIN 130000

/* How long is waited at most: the constants above; shorter in tests. */
struct postgres_limits {
	uint32_t answer_ms, connect_ms, away_ms, resolve_ms, clock_ms;
};
extern struct postgres_limits postgres_limits;

struct postgres_statement {
	struct db_row row;
	const char *sql;
	char name[16];
	bool prepared; /* or about to be: see the results to come */
	bool in_use;
	PGresult *result;
	int at;                          /* the row of it */
	struct postgres_statement *next; /* of those in use */
	UT_hash_handle hh;
};

enum postgres_expect {
	POSTGRES_PREPARED,
	POSTGRES_DONE, /* nobody wants the rows */
	POSTGRES_ROWS,
	POSTGRES_SYNC,
};

enum postgres_transaction {
	POSTGRES_NONE,
	POSTGRES_READ,
	POSTGRES_WRITE,
};

struct postgres_connection {
	PGconn *link; /* NULL: none now */
	const struct store_url *url;
	struct db_postgres_who who;
	struct postgres_statement *statements; /* by their text's address */
	struct postgres_statement *active;
	struct {
		enum postgres_expect what;
		struct postgres_statement *statement;
	} expected[POSTGRES_EXPECTED_MAX]; /* results to come, in order */
	size_t n_expected;
	bool aborted; /* up to the next sync the server does nothing */

	enum postgres_transaction transaction;
	int r; /* the error that has ended the transaction */
	bool changes_something;
	bool numbered; /* it has its row in the table writers */
	int64_t batch; /* the last transaction's number: table writers */
	int64_t changes;

	uint64_t away_since_ms, retry_at_ms; /* 0: it is connected */
	uint32_t backoff_ms;
	int64_t clock_read_ms; /* clock_wall_ms(), when the clocks were
				* compared last */
};

static inline struct postgres_connection *postgres_of(const struct db *db)
{
	return db->connection;
}

/* ---- db_postgres_error.c */

/* Notes the server's error; returns it as negative errno. */
int postgres_error(struct db *db, const PGresult *result);
/* The same of what libpq says about the connection, as a sentence. */
void postgres_say_link(struct db *db, const char *what, const PGconn *link);

/* ---- db_postgres_link.c */

/* Connects where there is no connection: 0 or -EHOSTDOWN. */
int postgres_connect(struct db *db) MUST_CHECK;
/* Closes it; what was under way is lost. Returns -ECONNRESET. */
int postgres_lose(struct db *db, const char *why);
void postgres_disconnect(struct db *db);
void postgres_sleep(uint32_t ms);
/* Within a transaction, now and then: what the server's clock is ahead of ours.
 * Ours may run slow, and stands still while this machine sleeps. 0 or negative
 * errno. */
int postgres_follow_clock(struct db *db) MUST_CHECK;
/* The next result, NULL between those of two statements. 0 or -ECONNRESET. */
int postgres_take_result(struct db *db, PGresult **out) MUST_CHECK;
/* Statements by the simple protocol, outside of pipeline mode, as a script and
 * for new connections. The last result is *out where that is not NULL. */
int postgres_run(struct db *db, const char *sql, PGresult **out) MUST_CHECK;

/* ---- db_postgres_statement.c */

int postgres_query(struct db *db, const char *sql, const struct db_arg *args,
		   struct db_row **row) MUST_CHECK;
int postgres_next(struct db *db, struct db_row *row) MUST_CHECK;
int postgres_exec(struct db *db, const char *sql,
		  const struct db_arg *args) MUST_CHECK;
int postgres_script(struct db *db, const char *sql) MUST_CHECK;
int64_t postgres_changes(struct db *db);
void postgres_reset(struct db *db);
/* A point up to which an error goes. Sent, but not waited for. */
int postgres_sync(struct db *db) MUST_CHECK;
/* Waits for all results to come. 0 or the error of the transaction. */
int postgres_settle(struct db *db) MUST_CHECK;
void postgres_statements_forget(struct db *db); /* the server has */
void postgres_statements_free(struct db *db);
int postgres_row_count(struct db_row *row);
bool postgres_row_is_null(struct db_row *row, int i);
int64_t postgres_row_int(struct db_row *row, int i);
bool postgres_row_data(struct db_row *row, int i, const void **data,
		       size_t *len) MUST_CHECK;
