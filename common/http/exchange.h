/*
 * One request and its reply, the same for both protocols: what the handler
 * sees as struct http_exchange. The public functions are in server.h.
 *
 * An exchange is buried (freed at the end of the loop turn) once its reply
 * has been ended, or on_close was called, and the protocol is done with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/http/h2_head.h"
#include "common/http/server.h"
#include "common/macro.h"

struct http_conn;

enum exchange_body {
	EXCHANGE_BODY_UNDECIDED, /* the handler has not said what it wants */
	EXCHANGE_BODY_COLLECT,
	EXCHANGE_BODY_STREAM,
	EXCHANGE_BODY_DISCARD,
};

enum exchange_reply {
	EXCHANGE_REPLY_NONE,
	EXCHANGE_REPLY_STARTED,
	EXCHANGE_REPLY_ENDED,
};

struct http_exchange {
	TAILQ_ENTRY(http_exchange) link; /* its connection's, or the dead */
	struct http_conn *conn;
	struct http_request req;
	void *data;
	void (*on_close)(struct http_exchange *ex, void *data);

	/* The request's body. */
	enum exchange_body body_mode;
	bool paused;
	bool expect_continue; /* nobody has said 100 yet */
	bool body_ended;      /* all of it was received */
	bool body_delivered;  /* the last callback was called */
	bool endless;         /* neither length nor silence ends it */
	uint64_t body_bytes, body_max_bytes;
	struct buf body; /* collected, or held until it is wanted */
	size_t held;     /* bytes of body that release has not returned */
	void (*on_body)(struct http_exchange *ex, const uint8_t *body,
			size_t len, void *data);
	void (*on_data)(struct http_exchange *ex, const uint8_t *piece,
			size_t len, void *data);
	void (*on_end)(struct http_exchange *ex, void *data);

	/* The reply. */
	enum exchange_reply reply;
	bool no_body;         /* to HEAD, or 204, 304 */
	bool chunked;         /* HTTP/1.1, length not known */
	bool was_full;        /* http_respond_write() said so: call on_drain */
	size_t backlog_bytes; /* from which on it says so */
	int64_t reply_left;   /* of a Content-Length given; -1: none was */
	void (*on_drain)(struct http_exchange *ex, void *data);

	/* HTTP/2. */
	int32_t stream_id;
	bool deferred; /* nghttp2 waits for data of the reply */
	struct buf out;
	struct h2_head head;

	uint64_t progress_ms; /* when its body or reply last moved */
	struct http_header headers[];
};

TAILQ_HEAD(exchange_list, http_exchange);

/* With room for n_headers, and extra bytes after them. NULL on ENOMEM. */
struct http_exchange *exchange_new(struct http_conn *conn, size_t n_headers,
				   size_t extra_bytes);
/* Only for what is on no list. */
void exchange_free(struct http_exchange *ex);

/* Lets the handler see it. */
void exchange_dispatch(struct http_exchange *ex);

/* "OPTIONS *" is about the server as such; no handler sees it. */
void exchange_answer_asterisk(struct http_exchange *ex);

/* The peer is gone: tells the handler, unless the reply has been ended. */
void exchange_lost(struct http_exchange *ex);

/* Takes the exchange away from the handler (on_close) and answers by itself,
 * or breaks off a reply that was started. */
void exchange_fail(struct http_exchange *ex, int status, const char *code,
		   const char *why);

/* True while pieces of the body may be handed to exchange_receive(). */
bool exchange_wants_body(const struct http_exchange *ex);

/* A piece of the body; last says that it is the end of it. 0, -EFBIG or
 * -ENOMEM, after which nothing was delivered. */
int exchange_receive(struct http_exchange *ex, const uint8_t *piece, size_t len,
		     bool last) MUST_CHECK;

/* Holds a piece back that nobody wants yet. 0, -EFBIG or -ENOMEM. */
int exchange_hold(struct http_exchange *ex, const uint8_t *piece,
		  size_t len) MUST_CHECK;
/* Delivers what was held and is wanted by now; returns its bytes. */
size_t exchange_release(struct http_exchange *ex);
