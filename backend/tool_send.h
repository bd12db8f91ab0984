/*
 * One try of what was rendered: an HTTP request with its redirects, or an
 * email over SMTP, by libcurl in the loop. Where it connects to is checked
 * address by address (common/allow_list.h). Whether to try again is the
 * caller's.
 *
 *     tool_send_start() ─▶ sending ─▶ on_done, once, from the loop
 *                            └─▶ tool_send_cancel(): no on_done
 *
 * No proxy and no cookies; certificates are verified. A connection is used
 * again for what is idempotent only, because libcurl by itself repeats what
 * was sent on a connection that turns out to be dead.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define TOOL_REPLY_MAX_BYTES (1024 * 1024)
#define TOOL_REPLY_HEADERS_MAX_BYTES (64 * 1024)
#define TOOL_CONNECT_TIMEOUT_MS 10000
#define TOOL_SEND_ERROR_BYTES 512

struct event_base;
struct tool_rendered;
struct tool_send;
struct tool_sender;
struct allow_list;

struct tool_sender_config {
	const struct allow_list *allow;
	const char *ca_file; /* NULL: the system's list */
};

/* The config's parts outlive it. 0 or negative errno. */
int tool_sender_new(struct tool_sender **out, struct event_base *base,
		    const struct tool_sender_config *config) MUST_CHECK;
/* Everything must have been cancelled. NULL is fine. */
void tool_sender_free(struct tool_sender *s);

enum tool_send_result {
	TOOL_SEND_ANSWERED, /* HTTP: whatever the status; SMTP: taken, or
			     * refused with a status of 400 or more */
	TOOL_SEND_REFUSED,  /* its address is not one to connect to */
	TOOL_SEND_NOT_SENT, /* no connection: the target has seen nothing */
	TOOL_SEND_BROKEN,   /* the target may have seen all of it */
	TOOL_SEND_WRONG,    /* it would fail in the same way again */
};

struct tool_sent {
	enum tool_send_result result;
	bool timed_out;
	int status;      /* HTTP's or SMTP's; 0: none */
	json_t *headers; /* {name in lower case: value}; borrowed */
	const struct buf *body;
	int64_t retry_after_ms; /* -1: the target did not say */
	const char *error; /* a sentence unless ANSWERED; may hold parts of the
			    * request: mask it */
};

struct tool_send_options {
	int64_t timeout_ms;
	int redirects;               /* that are followed */
	const char *traceparent;     /* sent as headers, unless the request */
	const char *idempotency_key; /* has its own; may be NULL */
	const char *message_id;      /* of an email */
};

typedef void (*tool_send_fn)(const struct tool_sent *sent, void *ctx);

/* r outlives the try. 0 or negative errno, without on_done. */
int tool_send_start(struct tool_sender *s, const struct tool_rendered *r,
		    const struct tool_send_options *options,
		    tool_send_fn on_done, void *ctx,
		    struct tool_send **out) MUST_CHECK;
/* Frees it; not from within its on_done. NULL is fine. */
void tool_send_cancel(struct tool_send *t);
