/* What an error of the server means: its SQLSTATE as errno and advice. */
#include <errno.h>
#include <stdio.h>

#include "backend/db_postgres_impl.h"

static const struct postgres_state {
	const char *state; /* or its first letters */
	int r;
	const char *advice;
} postgres_states[] = {
	{ "40P01", -EAGAIN, "another backend was in the way" },
	{ "40001", -EAGAIN, "another backend was in the way" },
	{ "55P03", -EAGAIN, "another backend was in the way" },
	{ "23505", -EAGAIN, "another backend stored the same" },
	{ "25006", -EROFS, "it cannot be written to: is it a replica?" },
	{ "42501", -EROFS, "its user may not do this; grant it the schema" },
	{ "53100", -ENOSPC, "the server's disk is full" },
	{ "53200", -ENOMEM, "the server is out of memory" },
	{ "53300", -ECONNRESET, "it has too many connections" },
	{ "54", -E2BIG, "a value is too big for the database" },
	{ "57014", -EIO, "it took too long" },
	{ "57P", -ECONNRESET, "the server ends the connection" },
	{ "25P03", -ECONNRESET, "the server ends the connection" },
	{ "08", -ECONNRESET, "the connection is lost" },
	{ "22021", -EINVAL, "a text is not UTF-8, or holds a NUL" },
	{ "58", -EIO, "the server's disk fails: see its log" },
	{ "XX", -EIO, "the database is damaged: see the server's log" },
	{ "", -EIO, "the database refused the operation" },
};

/* One line of it: what follows may quote values. */
static void postgres_say(struct db *db, const char *advice, const char *why)
{
	size_t len = strcspn(why, "\n");

	snprintf(db->message, sizeof(db->message), "%s: %s (PostgreSQL: %.*s)",
		 db->name, advice, (int)MIN(len, sizeof(db->message)), why);
}

int postgres_error(struct db *db, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const struct postgres_state *s = postgres_states;

	if (!state)
		state = "08"; /* it is libpq that says so */
	while (strncmp(s->state, state, strlen(s->state)) != 0)
		s++;
	postgres_say(db, s->advice, why ? why : "no reason given");
	return s->r;
}

void postgres_say_link(struct db *db, const char *what, const PGconn *link)
{
	const char *why = link ? PQerrorMessage(link) : "out of memory";

	postgres_say(db, what, *why ? why : "no answer");
}
