/*
 * One HTTP/2 connection: socket, transport, nghttp2 session. Knows streams,
 * not calls: policy (queueing, deadlines, retry) is client.c's.
 *
 *   DIALLING ─▶ HANDSHAKE ─▶ SETTINGS ─▶ READY ─▶ GOING ─▶ CLOSED
 *       └───────────┴────────────┴─────────┴──────────────▶ CLOSED
 *
 * READY: the peer's SETTINGS arrived, so it does speak HTTP/2; no request is
 * sent before. GOING: it sent GOAWAY; what is under way goes on, nothing new.
 *
 * Frames are collected and written once per turn of the loop.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"

#define CLIENT_STREAM_WINDOW_BYTES (256 * 1024)
#define CLIENT_CONN_WINDOW_BYTES (4 * 1024 * 1024)

struct client_conn;
struct endpoint;
struct event_base;

enum client_stream_end {
	CLIENT_STREAM_COMPLETE,
	CLIENT_STREAM_UNSENT, /* the peer cannot have acted on it */
	CLIENT_STREAM_BROKEN,
};

/* Embedded in the owner's object; zero-initialise. */
struct client_stream {
	TAILQ_ENTRY(client_stream) link;
	struct client_conn *conn; /* NULL when there is no stream */
	int32_t id;
	bool ended; /* END_STREAM was received */
	bool paused;
	size_t withheld;    /* received, not given back to the window */
	uint64_t starts_at; /* offset of HEADERS in the bytes sent */
	const uint8_t *body;
	size_t body_len;
};

/* Stream callbacks run inside nghttp2: client_conn_submit(), _reset(),
 * _pause() and _resume() are fine in them, client_conn_free() is not, and the
 * memory of a stream must stay until on_turn_end. */
struct client_conn_ops {
	void (*on_ready)(void *ctx, struct client_conn *conn);
	void (*on_going)(void *ctx, struct client_conn *conn);
	/* Once; every stream was closed before. error is a negative errno. */
	void (*on_lost)(void *ctx, struct client_conn *conn, int error,
			const char *why);
	/* The owner takes its own references on name and value. */
	void (*on_header)(struct client_stream *s, nghttp2_rcbuf *name,
			  nghttp2_rcbuf *value);
	void (*on_headers_end)(struct client_stream *s);
	void (*on_data)(struct client_stream *s, const uint8_t *data,
			size_t len);
	/* The stream is the owner's again. */
	void (*on_stream_end)(struct client_stream *s,
			      enum client_stream_end end, const char *why);
	/* Last thing in every turn: the connection may be freed here. */
	void (*on_turn_end)(void *ctx);
};

struct client_conn_config {
	const struct endpoint *endpoint; /* outlives the connection */
	void *tls_context;
	uint32_t connect_timeout_ms;
	uint32_t idle_ping_ms; /* 0 = never */
};

/* Starts to connect; no callback from within. 0 or negative errno. */
int client_conn_new(struct client_conn **out, struct event_base *base,
		    const struct client_conn_config *config,
		    const struct client_conn_ops *ops, void *ctx) MUST_CHECK;
/* No callback; streams are forgotten. */
void client_conn_free(struct client_conn *conn);
/* Inside one of its own events: free it in on_turn_end instead. */
bool client_conn_busy(const struct client_conn *conn);
bool client_conn_is_closed(const struct client_conn *conn);
/* A link for the owner's list of connections. */
struct client_conn **client_conn_next(struct client_conn *conn);

bool client_conn_is_ready(const struct client_conn *conn);
/* READY and below the peer's limit of concurrent streams. */
bool client_conn_has_room(const struct client_conn *conn);

/*
 * Names and values marked NO_COPY, and body, must stay until the stream ends
 * or is reset. 0 or negative errno.
 */
int client_conn_submit(struct client_conn *conn, struct client_stream *s,
		       const nghttp2_nv *nva, size_t n, const void *body,
		       size_t body_len) MUST_CHECK;
/* RST_STREAM(CANCEL); the stream is the owner's again at once. */
void client_conn_reset(struct client_stream *s);
void client_conn_pause(struct client_stream *s);
void client_conn_resume(struct client_stream *s);

/* Serialises what is queued, so that NO_COPY memory may change. */
void client_conn_settle(struct client_conn *conn);
