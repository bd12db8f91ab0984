/*
 * The one HTTP server: HTTP/1.1 (llhttp, strict) and HTTP/2 (nghttp2) over
 * TCP, TLS (ALPN) and unix sockets, behind one handler interface. On
 * cleartext listeners HTTP/2 is recognised by its connection preface.
 *
 * Single-threaded: everything happens in the event_base given to
 * http_server_new(). What the parser cannot read without doubt is answered
 * with 4xx and the connection is closed; the handler never sees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/http/header.h"
#include "common/macro.h"

struct event_base;
struct http_server;
struct http_exchange; /* one request and its reply */
struct http_tls;      /* tls.h */

struct http_limits {
	uint32_t connections;          /* over it: refused with 503 */
	uint32_t network_connections;  /* of one network; 0: no limit */
	uint32_t header_bytes;         /* request line and headers; 431 */
	uint32_t header_count;         /* 431 */
	uint64_t body_bytes;           /* of one that is read; 413 */
	uint32_t header_timeout_ms;    /* first byte to last header byte; 408 */
	uint32_t body_idle_timeout_ms; /* between two pieces of a body; 408 */
	uint32_t idle_timeout_ms;      /* between two requests */
	/* Peer takes nothing of a reply, or has shut down its side and
	 * waits. */
	uint32_t write_idle_timeout_ms;
	uint32_t concurrent_streams;     /* HTTP/2, per connection */
	uint32_t resets_per_10s;         /* RST_STREAM flood; GOAWAY */
	uint32_t control_frames_per_10s; /* PING, SETTINGS flood; GOAWAY */
	uint32_t pipelined;           /* HTTP/1.1 requests between two writes */
	uint32_t write_backlog_bytes; /* http_respond_write() says "full" */
	uint64_t reply_bytes; /* not taken yet, of all replies together; 503 */
};

extern const struct http_limits HTTP_LIMITS_DEFAULT;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_PATCH,
	HTTP_OPTIONS,
	HTTP_OTHER, /* answered with 501 before a handler sees it */
};

#define HTTP_NETWORK_BYTES 16

struct http_peer {
	bool is_unix;
	bool is_tls;
	uid_t uid; /* unix sockets: SO_PEERCRED */
	gid_t gid;
	pid_t pid;
	const void *listener_tag; /* as given to http_server_listen_*() */
	char address[64];         /* "127.0.0.1:4321" or "unix:PID" */
	/* Who counts as one: an IPv4 address, or the /64 of an IPv6 one; zeroes
	 * for unix sockets. */
	uint8_t network[HTTP_NETWORK_BYTES];
};

/* Owned by the exchange; valid until the exchange ends. */
struct http_request {
	enum http_method method;
	const char *path;  /* as sent, percent-encoded, starts with '/' */
	const char *query; /* after '?'; "" when absent */
	const struct http_header *headers;
	size_t n_headers;
	int64_t content_length; /* -1: none given (chunked, or HTTP/2) */
	bool has_body;
	const struct http_peer *peer;
};

/* name in lower case; NULL when absent. The first one if repeated. */
const char *http_request_header(const struct http_request *req,
				const char *name);

/*
 * Called once all headers are in. The exchange is valid until the reply has
 * been ended or on_close was called. Called for HEAD as well (the server drops
 * the body of the reply).
 */
typedef void (*http_handler_fn)(struct http_exchange *ex, void *ctx);

int http_server_new(struct http_server **out, struct event_base *base,
		    const struct http_limits *limits, http_handler_fn handler,
		    void *ctx) MUST_CHECK;
/* Closes listeners and connections at once; on_close is called for what was
 * under way. */
void http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_server_free)

/* host: a name or address; port 0 lets the kernel choose, *bound says which.
 * tls NULL is cleartext. tag shows up in http_peer. 0 or negative errno. */
int http_server_listen_tcp(struct http_server *s, const char *host,
			   uint16_t port, struct http_tls *tls, const void *tag,
			   uint16_t *bound) MUST_CHECK;
/* Replaces a stale socket file; -EADDRINUSE if somebody answers on it. */
int http_server_listen_unix(struct http_server *s, const char *path,
			    mode_t mode, const void *tag) MUST_CHECK;
/* Takes a listening descriptor. */
int http_server_listen_fd(struct http_server *s, int fd,
			  const void *tag) MUST_CHECK;

/* A connected socket as if it had been accepted in clear; taken, also on error.
 * 0 or negative errno. */
int http_server_adopt(struct http_server *s, int fd,
		      const void *tag) MUST_CHECK;

/* Stops accepting, finishes what is under way (Connection: close, GOAWAY),
 * then calls done once. */
void http_server_drain(struct http_server *s, void (*done)(void *ctx),
		       void *ctx);

struct http_server_stats {
	uint64_t connections_total, requests_total, refused_total;
	uint32_t connections_open, exchanges_open;
	uint64_t reply_bytes; /* that no peer has taken yet */
};
void http_server_get_stats(const struct http_server *s,
			   struct http_server_stats *out);

/* --- the exchange -------------------------------------------------------- */

const struct http_request *http_exchange_request(
	const struct http_exchange *ex);
void http_exchange_set_data(struct http_exchange *ex, void *data);
void *http_exchange_data(const struct http_exchange *ex);
struct event_base *http_exchange_base(const struct http_exchange *ex);

/* The peer went away, memory ran out, or the server refused the rest of the
 * request's body, before the reply was ended: drop every reference. Not called
 * after http_respond*() ended the reply, and never from inside a function of
 * this header but http_server_free(). */
void http_exchange_on_close(struct http_exchange *ex,
			    void (*fn)(struct http_exchange *ex, void *data));

/*
 * Request body. Either collect it: done is called once with all of it (body
 * valid during the call only; the server answers 413, 408 or 400 by itself
 * and calls on_close where it cannot). len 0 for a request without a body;
 * may be called back before this returns.
 */
void http_exchange_collect(struct http_exchange *ex, uint64_t max_bytes,
			   void (*done)(struct http_exchange *ex,
					const uint8_t *body, size_t len,
					void *data));
/* Or stream it. on_end follows the last piece. */
void http_exchange_stream(struct http_exchange *ex,
			  void (*on_data)(struct http_exchange *ex,
					  const uint8_t *piece, size_t len,
					  void *data),
			  void (*on_end)(struct http_exchange *ex, void *data));
/*
 * On whose account the replies of a connection wait, from this exchange on: so
 * that one who does not read them takes nothing from the others. Over its limit
 * a reply is replaced by 503, but one alone always finds its place.
 */
struct http_account;
int http_account_new(struct http_account **out,
		     uint64_t reply_bytes) MUST_CHECK;
/* Connections keep it for as long as they need it. */
void http_account_unref(struct http_account *a);
void http_exchange_set_account(struct http_exchange *ex,
			       struct http_account *a);

/* Before that, in the handler: the body is a stream that may be of any length
 * (limits.body_bytes does not count), and it and the reply may rest as long as
 * they like (nor do body_idle_timeout_ms and write_idle_timeout_ms), until the
 * peer goes. How many there are at a time is for the handler to bound. */
void http_exchange_set_endless(struct http_exchange *ex);
/* Back-pressure on the request body. */
void http_exchange_pause(struct http_exchange *ex);
void http_exchange_resume(struct http_exchange *ex);

/*
 * Whole reply in one call; ends the exchange (ex is invalid afterwards).
 * Content-Length and Date are added. Bodies are copied; one that does not
 * fit into limits.reply_bytes any more is replaced by a 503. A reply before the
 * request body was read is fine: the rest is discarded or the connection
 * closed.
 */
void http_respond(struct http_exchange *ex, int status,
		  const struct http_header *headers, size_t n_headers,
		  const void *body, size_t len);

/*
 * Streamed reply: start, write …, end. A Content-Length among the headers is
 * kept to; without one HTTP/1.1 is chunked. Here and above, Connection, Date,
 * Transfer-Encoding and headers with control characters are left out.
 */
void http_respond_start(struct http_exchange *ex, int status,
			const struct http_header *headers, size_t n_headers);
/* True while more may be written; false: wait for on_drain (the data was
 * taken all the same). */
bool http_respond_write(struct http_exchange *ex, const void *data, size_t len);
/* It says "full" from so many bytes on, where that is less than
 * limits.write_backlog_bytes. */
void http_exchange_set_backlog(struct http_exchange *ex, size_t bytes);
/* For how long the peer has taken nothing of the reply although some of it
 * waits; 0 when nothing does. */
uint64_t http_respond_stalled_ms(const struct http_exchange *ex);
void http_exchange_on_drain(struct http_exchange *ex,
			    void (*fn)(struct http_exchange *ex, void *data));
/* Whether all that was written is on its way, so that the peer gets it although
 * the reply is broken off; otherwise on_drain is called when it is. */
bool http_respond_flushed(struct http_exchange *ex);
void http_respond_end(struct http_exchange *ex);
/* Breaks the reply off so that the peer can tell (RST_STREAM, or a closed
 * connection without the last chunk). */
void http_respond_abort(struct http_exchange *ex);
