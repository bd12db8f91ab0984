#include "sidecar/redactions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/json.h"

struct redaction {
	TAILQ_ENTRY(redaction) link;
	struct redactions *owner;
	uint32_t id;
	const void *value; /* of who asked for it */
	size_t len;
	struct event *timeout;
	void (*done)(bool masked, void *ctx);
	void *ctx;
};

void redactions_init(struct redactions *rs, struct event_base *base)
{
	*rs = (struct redactions){ .base = base };
	TAILQ_INIT(&rs->pending);
	secrets_init(&rs->secrets);
}

void redactions_deinit(struct redactions *rs)
{
	redactions_fail(rs);
	secrets_deinit(&rs->secrets);
}

bool redactions_are_kept(const struct redactions *rs)
{
	return rs->kept && !rs->too_many;
}

int redactions_keep(struct redactions *rs, const char *token)
{
	_cleanup_(buf_deinit_secret) struct buf quoted = { 0 };
	int r = json_append_string(&quoted, token, strlen(token));

	rs->kept = true;
	return r ? r : secrets_add(&rs->secrets, quoted.data, quoted.len);
}

/* --- one ------------------------------------------------------------------ */

static void redaction_free(struct redaction *r)
{
	TAILQ_REMOVE(&r->owner->pending, r, link);
	r->owner->n_pending--;
	if (r->timeout)
		event_free(r->timeout);
	free(r);
}

static void redaction_end(struct redaction *r, bool masked)
{
	void (*done)(bool, void *) = r->done;
	void *ctx = r->ctx;

	redaction_free(r);
	done(masked, ctx);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	redaction_end(arg, false);
}

static int say(struct frame_stream *stream, uint32_t id, const void *value,
	       size_t len)
{
	_cleanup_(buf_deinit_secret) struct buf message = { 0 };
	uint32_t wire_id = htonl(id);
	int r;

	if ((r = buf_reserve(&message, sizeof(wire_id) + len)) ||
	    (r = buf_append(&message, &wire_id, sizeof(wire_id))) ||
	    (r = buf_append(&message, value, len)))
		return r;
	return frame_stream_send(stream, FRAME_REDACT, message.data,
				 message.len);
}

/* --- all ------------------------------------------------------------------ */

static uint32_t next_id(struct redactions *rs)
{
	/* 0 is the acknowledgement of the assignment. */
	if (!++rs->last_id)
		rs->last_id = 1;
	return rs->last_id;
}

/* A stream that broke, or none at all, will have a successor. */
static int say_if_there(const struct redactions *rs,
			struct frame_stream *stream, const struct redaction *r)
{
	int e = stream ? say(stream, r->id, r->value, r->len) : -EPIPE;

	return e == -EPIPE && redactions_are_kept(rs) ? 0 : e;
}

int redactions_ask(struct redactions *rs, struct frame_stream *stream,
		   const void *value, size_t len,
		   void (*done)(bool masked, void *ctx), void *ctx)
{
	const struct timeval timeout = clock_timeval(REDACTIONS_MS);
	struct redaction *r;
	int e;

	if (rs->n_pending == REDACTIONS_PENDING_MAX)
		return -EBUSY;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct redaction){ .owner = rs,
				 .id = next_id(rs),
				 .value = value,
				 .len = len,
				 .done = done,
				 .ctx = ctx };
	TAILQ_INSERT_TAIL(&rs->pending, r, link);
	rs->n_pending++;
	r->timeout = evtimer_new(rs->base, on_timeout, r);
	e = r->timeout ? say_if_there(rs, stream, r) : -ENOMEM;
	if (!e && evtimer_add(r->timeout, &timeout) < 0)
		e = -ENOMEM;
	if (e < 0)
		redaction_free(r);
	return e;
}

static void remember(struct redactions *rs, const struct redaction *r)
{
	if (!redactions_are_kept(rs) ||
	    !secrets_add(&rs->secrets, r->value, r->len))
		return;
	rs->too_many = true;
	secrets_deinit(&rs->secrets);
}

void redactions_take_ack(struct redactions *rs, const void *payload, size_t len)
{
	struct redaction *r;
	uint32_t id;

	if (len != sizeof(id))
		return;
	memcpy(&id, payload, sizeof(id));
	id = ntohl(id);
	TAILQ_FOREACH(r, &rs->pending, link) {
		if (r->id == id) {
			remember(rs, r);
			redaction_end(r, true);
			return;
		}
	}
}

int redactions_say_again(struct redactions *rs, struct frame_stream *stream)
{
	const struct secret *item;
	const struct redaction *r;
	int e = 0;

	STAILQ_FOREACH(item, &rs->secrets.items, link)
		if (!e)
			e = say(stream, next_id(rs), item->value, item->len);
	TAILQ_FOREACH(r, &rs->pending, link)
		if (!e)
			e = say(stream, r->id, r->value, r->len);
	return e;
}

void redactions_fail(struct redactions *rs)
{
	while (!TAILQ_EMPTY(&rs->pending))
		redaction_end(TAILQ_FIRST(&rs->pending), false);
}
