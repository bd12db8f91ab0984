#include "backend/store_listen.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/db_postgres.h"
#include "backend/store_call.h"
#include "backend/store_url.h"
#include "common/clock.h"

#define LISTEN_CONNECT_MAX_MS 5000
#define LISTEN_PING_MS 10000 /* no answer to the last one: it is gone */
#define LISTEN_BACKOFF_MIN_MS 100
#define LISTEN_BACKOFF_MAX_MS 5000
#define LISTEN_KIND_MAX_BYTES 32
/* Of TCP, in seconds: before the first probe, and between two. */
#define LISTEN_KEEPALIVE_IDLE "10"
#define LISTEN_KEEPALIVE_INTERVAL "5"

enum listen_state {
	LISTEN_AWAY,
	LISTEN_CONNECTING,
	LISTEN_STARTING,
	LISTEN_ON,
};

struct store_listen {
	struct store *store;
	struct event_base *base;
	struct store_listen_handler handler;
	enum listen_state state;
	PGconn *link;
	struct event *io, *timer;
	bool pinged; /* an answer is to come */
	uint32_t backoff_ms;
};

static void listen_step(struct store_listen *l);

/* From each state to the next one, and from any of them away. */
static void listen_set_state(struct store_listen *l, enum listen_state state)
{
	assert(state == LISTEN_AWAY || state == l->state + 1);
	l->state = state;
}

static void listen_set_timer(struct store_listen *l, uint32_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	/* Without memory for the timer it is due at once. */
	if (event_add(l->timer, &tv) < 0)
		event_active(l->timer, EV_TIMEOUT, 0);
}

/* ------------------------------------------------------------- connecting */

static void listen_drop(struct store_listen *l)
{
	if (l->io)
		event_free(l->io);
	l->io = NULL;
	PQfinish(l->link);
	l->link = NULL;
	l->pinged = false;
	listen_set_state(l, LISTEN_AWAY);
}

static void listen_lose(struct store_listen *l)
{
	listen_drop(l);
	l->backoff_ms = MIN(MAX(2 * l->backoff_ms, LISTEN_BACKOFF_MIN_MS),
			    LISTEN_BACKOFF_MAX_MS);
	listen_set_timer(l, l->backoff_ms);
}

static void on_readiness(evutil_socket_t fd, short what, void *ctx)
{
	listen_step(ctx);
}

/* The socket may be another one after each step of connecting. */
static void listen_watch(struct store_listen *l, short events)
{
	if (l->io)
		event_free(l->io);
	l->io = event_new(l->base, PQsocket(l->link), events | EV_PERSIST,
			  on_readiness, l);
	if (!l->io || event_add(l->io, NULL) < 0)
		listen_lose(l);
}

/* libpq would write them to standard error. */
static void on_server_notice(void *ctx, const char *message)
{
}

/* To where the store's own connections are, by its address: so no name has to
 * be looked up, for which libpq would block the loop. */
static void listen_connect(struct store_listen *l)
{
	char name[64];
	struct store_place place;
	const char *const words[] = { "keepalives_idle",
				      "keepalives_interval",
				      "dbname",
				      "application_name",
				      "client_encoding",
				      "host",
				      "port",
				      "hostaddr",
				      NULL };
	const char *const values[] = { LISTEN_KEEPALIVE_IDLE,
				       LISTEN_KEEPALIVE_INTERVAL,
				       l->store->url->where,
				       name,
				       "UTF8",
				       place.host,
				       place.port,
				       place.address,
				       NULL };

	store_get_place(l->store, &place);
	snprintf(name, sizeof(name), "%s listener", l->store->instance);
	l->link = PQconnectStartParams(words, values, 1);
	if (!l->link || PQstatus(l->link) == CONNECTION_BAD) {
		listen_lose(l);
		return;
	}
	PQsetNoticeProcessor(l->link, on_server_notice, NULL);
	listen_set_state(l, LISTEN_CONNECTING);
	listen_set_timer(l, LISTEN_CONNECT_MAX_MS);
	listen_watch(l, EV_WRITE);
}

static void listen_start(struct store_listen *l)
{
	char sql[384], path[128] = "";

	if (*l->store->url->schema)
		snprintf(path, sizeof(path), "SET search_path TO \"%s\";",
			 l->store->url->schema);
	snprintf(sql, sizeof(sql),
		 "%sDO $$ BEGIN EXECUTE 'LISTEN ' || " DB_POSTGRES_CHANNEL
		 "; END $$",
		 path);
	if (PQsetnonblocking(l->link, 1) || !PQsendQuery(l->link, sql)) {
		listen_lose(l);
		return;
	}
	listen_set_state(l, LISTEN_STARTING);
	listen_watch(l, EV_READ);
}

static void listen_go_on_connecting(struct store_listen *l)
{
	switch (PQconnectPoll(l->link)) {
	case PGRES_POLLING_OK:
		listen_start(l);
		return;
	case PGRES_POLLING_FAILED:
		listen_lose(l);
		return;
	case PGRES_POLLING_READING:
		listen_watch(l, EV_READ);
		return;
	default:
		listen_watch(l, EV_WRITE);
		return;
	}
}

/* --------------------------------------------------------------- listening */

/* "INSTANCE KIND NUMBER ID", as the driver's notify writes it. */
static void listen_hear(struct store_listen *l, const char *payload)
{
	char instance[ID_MAX_BYTES], kind[LISTEN_KIND_MAX_BYTES];
	long long number;
	int id = 0;

	_Static_assert(sizeof(instance) == 40 && sizeof(kind) == 32,
		       "the widths below are these, less one");
	if (sscanf(payload, "%39s %31s %lld %n", instance, kind, &number,
		   &id) == 3 &&
	    id && strcmp(instance, l->store->instance) != 0)
		l->handler.on_notice(l->handler.ctx, kind, payload + id,
				     number);
}

static void listen_hear_all(struct store_listen *l)
{
	PGnotify *n;

	while (l->link && (n = PQnotifies(l->link))) {
		listen_hear(l, n->extra);
		PQfreemem(n);
	}
}

/* Whatever was asked, LISTEN or a ping, has been answered. */
static void listen_answered(struct store_listen *l)
{
	l->pinged = false;
	if (l->state != LISTEN_STARTING)
		return;
	listen_set_state(l, LISTEN_ON);
	l->backoff_ms = 0;
	listen_set_timer(l, LISTEN_PING_MS);
	l->handler.on_gap(l->handler.ctx);
}

static void listen_read(struct store_listen *l)
{
	bool asked = l->state == LISTEN_STARTING || l->pinged;
	PGresult *result;

	if (!PQconsumeInput(l->link) || PQflush(l->link) < 0) {
		listen_lose(l);
		return;
	}
	while (asked && !PQisBusy(l->link)) {
		bool failed;

		result = PQgetResult(l->link);
		if (!result) {
			asked = false;
			listen_answered(l);
			break;
		}
		failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
		PQclear(result);
		if (failed) {
			listen_lose(l);
			return;
		}
	}
	listen_hear_all(l);
}

static void listen_step(struct store_listen *l)
{
	switch (l->state) {
	case LISTEN_AWAY:
		listen_connect(l);
		return;
	case LISTEN_CONNECTING:
		listen_go_on_connecting(l);
		return;
	case LISTEN_STARTING:
	case LISTEN_ON:
		listen_read(l);
		return;
	}
}

static void listen_ping(struct store_listen *l)
{
	if (l->pinged || !PQsendQuery(l->link, "SELECT 1")) {
		listen_lose(l);
		return;
	}
	l->pinged = true;
	PQflush(l->link);
	listen_set_timer(l, LISTEN_PING_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct store_listen *l = ctx;

	switch (l->state) {
	case LISTEN_AWAY:
		listen_connect(l);
		return;
	case LISTEN_CONNECTING:
	case LISTEN_STARTING:
		listen_lose(l);
		return;
	case LISTEN_ON:
		listen_ping(l);
		return;
	}
}

/* ------------------------------------------------------------------- life */

int store_listen_new(struct store_listen **out, struct store *s,
		     struct event_base *base,
		     const struct store_listen_handler *handler)
{
	struct store_listen *l;

	*out = NULL;
	if (s->url->kind != STORE_POSTGRES)
		return 0; /* nobody else writes to a file of ours */
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->store = s;
	l->base = base;
	l->handler = *handler;
	l->timer = evtimer_new(base, on_timer, l);
	if (!l->timer) {
		free(l);
		return -ENOMEM;
	}
	listen_set_timer(l, 0);
	*out = l;
	return 0;
}

void store_listen_free(struct store_listen *l)
{
	if (!l)
		return;
	listen_drop(l);
	event_free(l->timer);
	free(l);
}
