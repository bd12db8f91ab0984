/*
 * One connection: its socket, what was read and not yet understood, what is
 * to be written. A protocol (h1.c, h2.c) gives the bytes their meaning.
 *
 *   OPENING ──▶ OPEN ──▶ FLUSHING ──▶ LINGERING ──▶ CLOSED
 *      └─────────┴──────────┴──────────────────────▶ CLOSED
 *
 * OPENING: the protocol is not known yet. FLUSHING: nothing is read into
 * requests any more; what is to be written goes out. LINGERING: all is
 * written and the writing side shut down; what still comes is thrown away,
 * for closing a socket with unread bytes would reset it and could take the
 * last reply with it. CLOSED: freed at the end of the loop turn.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/http/exchange.h"
#include "common/http/h1.h"
#include "common/http/server.h"

struct h2;
struct http_conn;
struct transport;

#define CONN_NEVER_MS UINT64_MAX

struct conn_protocol {
	/* Reads what it can and returns the bytes it is done with. */
	size_t (*input)(struct http_conn *c, const uint8_t *data, size_t len);
	/* Something that input waited for has changed (a reply ended, a body
	 * is wanted, there is room to write). */
	void (*wake)(struct http_conn *c);
	/* Adds to c->out what there is to write. */
	void (*output)(struct http_conn *c);
	/* c->out got shorter. */
	void (*written)(struct http_conn *c);
	/* Requests are under way. */
	bool (*busy)(const struct http_conn *c);
	/* The peer will send nothing more. False: it ends the connection. */
	bool (*eof)(struct http_conn *c);
	/* Finish what is under way, then end. */
	void (*drain)(struct http_conn *c);
	/* The peer may take as long as it likes to take what is written. */
	bool (*patient)(const struct http_conn *c);
	/* When on_timeout is to be called; CONN_NEVER_MS. */
	uint64_t (*deadline)(const struct http_conn *c);
	void (*timeout)(struct http_conn *c);
	/* The connection is gone: lose what is under way. */
	void (*closed)(struct http_conn *c);

	/* Of an exchange. */
	void (*respond)(struct http_exchange *ex, int status,
			const struct http_header *headers, size_t n_headers,
			const void *body, size_t len);
	void (*start)(struct http_exchange *ex, int status,
		      const struct http_header *headers, size_t n_headers);
	/* True while there is room. */
	bool (*write)(struct http_exchange *ex, const void *data, size_t len);
	void (*end)(struct http_exchange *ex);
	void (*abort)(struct http_exchange *ex);
	/* The handler has said what to do with the body, or resumed it. */
	void (*want_body)(struct http_exchange *ex);
};

enum conn_state {
	CONN_OPENING,
	CONN_OPEN,
	CONN_FLUSHING,
	CONN_LINGERING,
	CONN_CLOSED,
};

struct http_conn {
	TAILQ_ENTRY(http_conn) link; /* the server's open ones, or the dead */
	TAILQ_ENTRY(http_conn) marked_link;
	struct http_server *server;
	struct transport *transport;
	const struct conn_protocol *protocol; /* NULL while OPENING */
	enum conn_state state;
	const char *close_reason;
	bool marked;     /* on the server's list of what to look at */
	bool in_service; /* conn_service() is at it … */
	bool again;      /* … and was asked to go round once more */
	bool in_input;   /* the protocol's input is at it */
	bool kicked;     /* wake is to be called */
	bool eof;
	bool linger;  /* after FLUSHING */
	bool refused; /* over the limit of connections */
	bool counted; /* among those of its network */
	bool reading; /* read_ev is added */
	bool writing; /* write_ev is added */
	struct event read_ev, write_ev;
	struct buf in;                /* read, not understood yet */
	struct buf out;               /* to be written */
	uint64_t reply_bytes;         /* of it in the server's sum */
	struct http_account *account; /* NULL: nobody's in particular */
	uint64_t deadline_ms;
	uint64_t active_ms;  /* a request ended, or the connection came */
	uint64_t written_ms; /* the peer last took something */
	struct h1 h1;
	struct h2 *h2;
	struct http_peer peer;
};

/* Takes transport, also on error. 0 or -ENOMEM. */
int conn_new(struct http_conn **out, struct http_server *s,
	     struct transport *transport,
	     const struct http_peer *peer) MUST_CHECK;
/* From the server's list of the dead only. */
void conn_free(struct http_conn *c);

/* Answers 503 and ends. */
void conn_refuse(struct http_conn *c);
/* Ends it once everything is written. */
void conn_finish(struct http_conn *c, bool linger, const char *reason);
/* Ends it at once; reason is a constant sentence. Its handlers hear of it when
 * the loop turn ends: one of them may be what called. */
void conn_close(struct http_conn *c, const char *reason);
/* It is CLOSED and off every list: tells the handlers; by the server only. */
void conn_lost(struct http_conn *c);
/* Finishes what is under way, then ends. */
void conn_drain(struct http_conn *c);

/* Look at it before the loop turn ends. */
void conn_mark(struct http_conn *c);
/* The same, and call the protocol's wake. */
void conn_kick(struct http_conn *c);
/* Brings the server's sum of what is to be written up to date. */
void conn_count(struct http_conn *c);
/* Offers what was read and held back to the protocol again. */
void conn_input_held(struct http_conn *c);
/* Writes, and settles events and deadline; by the server only. */
void conn_service(struct http_conn *c);
/* Its deadline has passed; by the server only. */
void conn_timeout(struct http_conn *c);
