/* The connection to the server: made, waited on, lost. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/db_postgres_impl.h"
#include "common/clock.h"

struct postgres_limits postgres_limits = {
	.answer_ms = POSTGRES_ANSWER_MAX_MS,
	.connect_ms = POSTGRES_CONNECT_MAX_MS,
	.away_ms = POSTGRES_AWAY_MAX_MS,
	.resolve_ms = POSTGRES_RESOLVE_MAX_MS,
	.clock_ms = POSTGRES_CLOCK_MS,
};

/* ---------------------------------------------------------------- waiting */

/* 0 when the socket is ready; -ETIMEDOUT. */
static int postgres_poll(PGconn *link, short events, uint64_t deadline_ms)
{
	struct pollfd fd = { .fd = PQsocket(link), .events = events };

	for (;;) {
		uint64_t now_ms = clock_mono_ms();
		int n;

		if (now_ms >= deadline_ms)
			return -ETIMEDOUT;
		n = poll(&fd, 1, (int)(deadline_ms - now_ms));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

void postgres_sleep(uint32_t ms)
{
	const struct timespec t = { .tv_sec = ms / 1000,
				    .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Sends what is to be sent, and reads until a result is complete. */
static int postgres_wait(struct db *db)
{
	PGconn *link = postgres_of(db)->link;
	uint64_t deadline_ms = clock_mono_ms() + postgres_limits.answer_ms;

	for (;;) {
		int left = PQflush(link);

		if (left < 0)
			return postgres_lose(db, "the connection is lost");
		if (!left && !PQisBusy(link))
			return 0;
		if (postgres_poll(link, left ? POLLIN | POLLOUT : POLLIN,
				  deadline_ms))
			return postgres_lose(db, "it does not answer in time");
		if (!PQconsumeInput(link))
			return postgres_lose(db, "the connection is lost");
	}
}

int postgres_take_result(struct db *db, PGresult **out)
{
	struct postgres_connection *c = postgres_of(db);
	int r = postgres_wait(db);

	*out = NULL;
	if (r < 0)
		return r;
	*out = PQgetResult(c->link);
	if (!*out && PQstatus(c->link) == CONNECTION_BAD)
		return postgres_lose(db, "the connection is lost");
	return 0;
}

/* ----------------------------------------------------------------- losing */

void postgres_disconnect(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);

	PQfinish(c->link);
	c->link = NULL;
	c->n_expected = 0;
	c->aborted = false;
	postgres_statements_forget(db);
}

int postgres_lose(struct db *db, const char *why)
{
	struct postgres_connection *c = postgres_of(db);

	postgres_say_link(db, why, c->link);
	postgres_disconnect(db);
	if (!c->r)
		c->r = -ECONNRESET;
	return -ECONNRESET;
}

/* ----------------------------------------------------------------- making */

/* libpq would write them to standard error. What matters comes as an error. */
static void on_notice(void *ctx UNUSED, const char *message UNUSED)
{
}

static PGconn *postgres_begin(const struct postgres_connection *c)
{
	char name[64], user_timeout[16];
	const char *const words[] = { "tcp_user_timeout", "dbname",
				      "application_name", "client_encoding",
				      NULL };
	const char *const values[] = { user_timeout, c->url->where, name,
				       "UTF8", NULL };

	snprintf(user_timeout, sizeof(user_timeout), "%u",
		 postgres_limits.answer_ms);
	snprintf(name, sizeof(name), "%s %s", c->who.instance, c->who.role);
	return PQconnectStartParams(words, values, 1);
}

static int postgres_dial(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	uint64_t deadline_ms = clock_mono_ms() + postgres_limits.connect_ms;
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	c->link = postgres_begin(c);
	if (!c->link || PQstatus(c->link) == CONNECTION_BAD)
		return -EHOSTDOWN;
	PQsetNoticeProcessor(c->link, on_notice, NULL);
	while (next != PGRES_POLLING_OK) {
		if (next == PGRES_POLLING_FAILED ||
		    postgres_poll(c->link,
				  next == PGRES_POLLING_READING ? POLLIN
								: POLLOUT,
				  deadline_ms))
			return -EHOSTDOWN;
		next = PQconnectPoll(c->link);
	}
	return PQsetnonblocking(c->link, 1) ? -EHOSTDOWN : 0;
}

int postgres_run(struct db *db, const char *sql, PGresult **out)
{
	struct postgres_connection *c = postgres_of(db);
	PGresult *result = NULL;
	int r = 0;

	if (out)
		*out = NULL;
	if (!PQsendQuery(c->link, sql))
		return postgres_lose(db, "the connection is lost");
	for (;;) {
		int lost = postgres_take_result(db, &result);

		if (lost || !result)
			return lost ? lost : r;
		if (!r && PQresultStatus(result) == PGRES_FATAL_ERROR)
			r = postgres_error(db, result);
		if (out) {
			PQclear(*out);
			*out = result;
		} else {
			PQclear(result);
		}
	}
}

/* What must hold on each connection, whatever the server's defaults are. */
static int postgres_set_session(struct db *db)
{
	const struct store_url *url = postgres_of(db)->url;
	char sql[1024], path[128] = "";

	if (*url->schema)
		snprintf(path, sizeof(path), "SET search_path TO \"%s\";",
			 url->schema);
	snprintf(sql, sizeof(sql),
		 "%sSET statement_timeout = %d; SET lock_timeout = %d;"
		 "SET idle_in_transaction_session_timeout = %d;"
		 "SET default_transaction_isolation = 'read committed';"
		 "SET client_min_messages = error;"
		 "SELECT set_config('synchronous_commit', 'on', false)"
		 " WHERE current_setting('synchronous_commit') = 'off'",
		 path, POSTGRES_STATEMENT_MAX_MS, POSTGRES_LOCK_MAX_MS,
		 POSTGRES_IDLE_MAX_MS);
	return postgres_run(db, sql, NULL);
}

static int postgres_check_server(struct db *db)
{
	PGconn *link = postgres_of(db)->link;
	const char *encoding = PQparameterStatus(link, "server_encoding");
	int version = PQserverVersion(link);

	if (version < POSTGRES_VERSION_MIN) {
		snprintf(db->message, sizeof(db->message),
			 "%s: PostgreSQL %d is too old; install %d or a later "
			 "one",
			 db->name, version / 10000,
			 POSTGRES_VERSION_MIN / 10000);
		return -ENOTSUP;
	}
	if (!encoding || strcmp(encoding, "UTF8") != 0) {
		snprintf(db->message, sizeof(db->message),
			 "%s: its texts are %s; make a database with the "
			 "encoding UTF8",
			 db->name, encoding ? encoding : "unknown");
		return -ENOTSUP;
	}
	return 0;
}

static void postgres_note_place(struct db *db)
{
	const PGconn *link = postgres_of(db)->link;
	struct store_place *p = &db->place;

	snprintf(p->host, sizeof(p->host), "%s", PQhost(link));
	snprintf(p->address, sizeof(p->address), "%s", PQhostaddr(link));
	snprintf(p->port, sizeof(p->port), "%s", PQport(link));
}

#define POSTGRES_CLOCK_SQL \
	"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

static int postgres_read_clock(struct db *db)
{
	PGresult *result;
	int r = postgres_run(db, POSTGRES_CLOCK_SQL, &result);

	if (r == 0)
		db->clock_offset_ms = strtoll(PQgetvalue(result, 0, 0), NULL,
					      10) -
				      clock_steady_ms();
	PQclear(result);
	postgres_of(db)->clock_read_ms = clock_wall_ms();
	return r;
}

int postgres_follow_clock(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	/* The wall's clock goes on while the machine sleeps. */
	int64_t age_ms = clock_wall_ms() - c->clock_read_ms;
	int64_t before_ms, took_ms, there_ms;
	int r;

	if (age_ms >= 0 && age_ms < (int64_t)postgres_limits.clock_ms)
		return 0;
	before_ms = clock_steady_ms();
	r = db_query_int(db, POSTGRES_CLOCK_SQL, DB_NO_ARGS, &there_ms);
	if (r)
		return r;
	c->clock_read_ms = clock_wall_ms();
	took_ms = clock_steady_ms() - before_ms;
	if (took_ms <= POSTGRES_CLOCK_ASK_MAX_MS)
		db->clock_offset_ms = there_ms - before_ms - took_ms / 2;
	return 0;
}

/* One attempt. -ENOTSUP: another one would be no better. */
static int postgres_try(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	int r = postgres_dial(db);

	if (r < 0) {
		postgres_say_link(db, "cannot connect", c->link);
		postgres_disconnect(db);
		return r;
	}
	postgres_note_place(db);
	r = postgres_set_session(db);
	if (r == 0)
		r = postgres_check_server(db);
	if (r == 0)
		r = postgres_read_clock(db);
	if (r == 0 && !PQenterPipelineMode(c->link))
		r = -EHOSTDOWN;
	if (r < 0)
		postgres_disconnect(db);
	c->r = 0;
	return r;
}

static void postgres_back_off(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	uint64_t now_ms = clock_mono_ms();

	if (!c->away_since_ms)
		c->away_since_ms = now_ms;
	c->backoff_ms = MIN(MAX(2 * c->backoff_ms, POSTGRES_BACKOFF_MIN_MS),
			    POSTGRES_BACKOFF_MAX_MS);
	c->retry_at_ms = now_ms + c->backoff_ms;
	atomic_store(&db->away_ms, now_ms);
}

/*
 * When the server has gone away, the first who notice wait for it. Once it is
 * away for long, everybody is told at once, and one in a while tries again.
 */
int postgres_connect(struct db *db)
{
	struct postgres_connection *c = postgres_of(db);
	int r = -EHOSTDOWN;

	while (!c->link) {
		uint64_t now_ms = clock_mono_ms();
		bool long_away = c->away_since_ms &&
				 now_ms - c->away_since_ms >=
					 postgres_limits.away_ms;

		if (long_away && now_ms < c->retry_at_ms) {
			if (!*db->message)
				snprintf(db->message, sizeof(db->message),
					 "%s: there is no connection to the "
					 "database; it is tried again",
					 db->name);
			return -EHOSTDOWN;
		}
		if (!long_away && now_ms < c->retry_at_ms)
			postgres_sleep((uint32_t)(c->retry_at_ms - now_ms));
		r = postgres_try(db);
		if (r == -ENOTSUP)
			return r;
		if (r < 0)
			postgres_back_off(db);
		if (r < 0 && long_away)
			return -EHOSTDOWN;
	}
	c->away_since_ms = c->retry_at_ms = 0;
	c->backoff_ms = 0;
	atomic_store(&db->away_ms, 0);
	return 0;
}
