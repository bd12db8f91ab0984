/* What connection.c (socket, events) and session.c (nghttp2) share. */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "backend-client/connection.h"
#include "common/buf.h"

enum conn_state {
	CONN_DIALLING,
	CONN_HANDSHAKE,
	CONN_SETTINGS,
	CONN_READY,
	CONN_GOING,
	CONN_CLOSED,
};

TAILQ_HEAD(conn_streams, client_stream);

struct client_conn {
	struct event_base *base;
	struct client_conn_config config;
	const struct client_conn_ops *ops;
	void *ctx;
	enum conn_state state;
	struct dial *dial;
	struct transport *transport;
	nghttp2_session *session;
	struct event readable, writable, flush, timer;
	struct buf out;
	uint64_t serialised, written; /* bytes, since the beginning */
	struct conn_streams streams;
	uint32_t n_streams; /* as nghttp2 counts: also those reset by us */
	bool busy;
	struct client_conn *next;
	bool heard; /* something was received since the last timer */
	bool pinged;
};

/* --- connection.c --- */

void conn_set_timer(struct client_conn *conn, uint32_t ms);
/* Frames are written at the end of this turn of the loop. */
void conn_schedule_flush(struct client_conn *conn);

/* --- session.c --- */

int conn_session_new(struct client_conn *conn) MUST_CHECK;
/* Takes the stream off the connection and tells its owner. */
void conn_close_stream(struct client_conn *conn, struct client_stream *s,
		       enum client_stream_end end, const char *why);
