/*
 * What the parts of the server share. Every callback from the loop is
 * bracketed by server_enter() and server_leave(); the latter writes what has
 * come together on each marked connection, and frees what died.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/http/conn.h"
#include "common/http/network.h"
#include "common/http/server.h"

#define SERVER_READ_BYTES 65536
#define SERVER_DATE_BYTES 40

struct event;
struct listener;
TAILQ_HEAD(conn_list, http_conn);
TAILQ_HEAD(listener_list, listener);

struct http_server {
	struct event_base *base;
	struct http_limits limits;
	http_handler_fn handler;
	void *ctx;
	struct event *turn_ev;  /* what happened outside of our callbacks */
	struct event *sweep_ev; /* the earliest deadline */
	uint64_t now_ms;        /* of this turn */
	uint64_t sweep_at_ms;   /* UINT64_MAX: sweep_ev is not added */
	bool in_turn;
	bool draining;
	void (*on_drained)(void *ctx);
	void *drained_ctx;
	struct conn_list conns, marked, dead;
	struct exchange_list dead_exchanges;
	struct listener_list listeners;
	uint32_t refused_open;
	struct network_table networks; /* where there is a limit */
	uint8_t *scratch; /* SERVER_READ_BYTES, for whoever reads now */
	char date[SERVER_DATE_BYTES]; /* "Fri, 02 Jan 2026 03:04:05 GMT" */
	size_t date_len;
	int64_t date_s;
	struct http_server_stats stats;
};

void server_enter(struct http_server *s);
void server_leave(struct http_server *s);
/* Makes sure that a turn ends soon. */
void server_schedule(struct http_server *s);
/* The time of this turn; outside of one, the time. */
uint64_t server_now(struct http_server *s);
/* Calls conn_timeout() at about this time. */
void server_wake_at(struct http_server *s, uint64_t at_ms);
/* The current date for a header, date_len bytes. */
const char *server_date(struct http_server *s);
/* A connection came in on a listener. */
void server_adopt(struct http_server *s, struct transport *transport,
		  const struct http_peer *peer);
