/*
 * What the files of the client share; see client.h for what it does.
 *
 *   client.c    made, asked, freed
 *   turn.c      the end of each turn of the loop: results told, deadlines
 *   dispatch.c  where calls stand, when they are sent and sent again
 *   link.c      connections come and go; replies arrive
 *
 * Everything user code hears is told at the end of a turn, except a streamed
 * reply, which is told as it arrives.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-client/breaker.h"
#include "backend-client/call.h"
#include "backend-client/client.h"
#include "backend-client/connection.h"
#include "backend-client/endpoint.h"
#include "backend-client/retry.h"

struct backend_client {
	struct event_base *base;
	struct endpoint_list endpoints;
	void *tls_context;
	char *bearer_header, *bearer, *user_agent;
	struct client_conn_config conn_config;
	struct retry_backoff backoff;
	uint64_t response_bytes;

	struct client_conn *conn;     /* takes new calls; may be connecting */
	struct client_conn *retiring; /* after GOAWAY, or dead */
	unsigned int connect_failures;
	uint64_t connect_at_ms; /* not before */
	uint64_t ready_ms;      /* since when conn is up; 0 = it is not */
	char why[160];          /* why there is no connection */
	struct breaker breaker;

	struct backend_calls waiting, delayed, sent, ended;
	struct backend_calls all, pool;
	size_t n_pool;

	struct event turn;  /* activated: something is to be done */
	struct event alarm; /* one timer for all deadlines */
	uint64_t alarm_ms;  /* when it rings; 0 = not set */
	bool in_turn, dead;

	void (*on_state)(int on, const char *why, void *ctx);
	void *on_state_ctx;
};

/* --- turn.c --- */

void client_turn(struct backend_client *c);
/* Has client_turn() run soon. */
void client_schedule_turn(struct backend_client *c);
/* Makes sure that deadlines are looked at at at_ms or a little later. */
void client_watch(struct backend_client *c, uint64_t at_ms, uint64_t now_ms);
/* The earlier one; 0 is none. */
uint64_t client_time_min(uint64_t a, uint64_t b);
/* To the pool: nothing refers to it any more. */
void client_put_back(struct backend_client *c, struct backend_call *call);
void client_on_turn(evutil_socket_t fd, short what, void *arg);
void client_on_alarm(evutil_socket_t fd, short what, void *arg);

/* --- dispatch.c --- */

struct backend_calls *client_list(struct backend_client *c,
				  enum call_place place);
/* Sends what may be sent. */
void client_dispatch(struct backend_client *c);
/* Ends the calls that do not wait for better times. */
void client_fail_impatient(struct backend_client *c, enum backend_error error,
			   const char *why);
void call_wait(struct backend_call *call);
void call_end(struct backend_call *call, enum backend_error error,
	      const char *detail);
/* True if it will be tried again. */
bool call_retry(struct backend_call *call, enum retry_cause cause,
		uint64_t at_least_ms, uint64_t now_ms);
void call_attempt_failed(struct backend_call *call, enum retry_cause cause,
			 enum backend_error error, const char *detail);

/* --- link.c --- */

/* Makes the connection if there is none and it is time. */
void client_connect(struct backend_client *c);
/* From c->conn to c->retiring. */
void client_retire(struct backend_client *c);
void client_free_retired(struct backend_client *c);

/* --- client.c --- */

void client_destroy(struct backend_client *c);
