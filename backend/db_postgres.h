/*
 * PostgreSQL: a database that several backends share. One connection for each
 * of the store's threads, by libpq, never blocking without a deadline.
 *
 *   db_postgres.c            transactions, schema, the driver's table
 *   db_postgres_link.c       connecting, waiting, losing the connection
 *   db_postgres_statement.c  statements and rows
 *   db_postgres_error.c      what an error means
 *
 * Statements are sent as they come, and their results read when somebody wants
 * one (pipeline mode): those without a result cost no round trip. So an error
 * of db_exec() shows with a later statement, or with db_commit(). It is always
 * the end of the transaction.
 *
 * What callers are told, beside what db.h says:
 *
 *   -EAGAIN      another backend was in the way (deadlock, lock, unique
 *                value): nothing has happened, do it again
 *   -ECONNRESET  the connection was lost, nothing has happened: do it again
 *   -EHOSTDOWN   there is no connection, and none could be made for a while
 *   -EINPROGRESS the connection was lost while the transaction was committed,
 *                and nobody could be asked what became of it
 *
 * A transaction that changes something writes its number into a row of this
 * backend's own (table writers) as its last statement. When the connection is
 * lost during COMMIT, the number is read on a new connection, with a lock: that
 * waits for a transaction that is still under way, whose session is ended
 * first. Where the number is there it was committed, which is success; else it
 * was not and never will be, and it can be done again. A row says this after a
 * crash of the server and after a change to its replica, too, where the number
 * of a transaction (pg_xact_status()) may have been given to another one.
 */
#pragma once

#include "backend/db.h"

struct store_url;

extern const struct db_driver db_postgres;

/* The channel of notifications, one for each schema, as an SQL expression. */
#define DB_POSTGRES_CHANNEL "'cronium_' || md5(current_schema())"

/* Who connects: names the session for administrators. */
struct db_postgres_who {
	const char *instance; /* of the backend */
	const char *role;     /* "writer" … */
};

/* Opens a connection. All pointers outlive it. On failure the message is set,
 * and db_close() is still to be called. */
int db_postgres_open(struct db *db, const struct store_url *url,
		     const struct vault *vault,
		     const struct db_postgres_who *who) MUST_CHECK;
