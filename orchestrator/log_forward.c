#include "orchestrator/log_forward.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/redact.h"
#include "orchestrator/report.h"

#define LOG_FORWARD_PATH_MAX_BYTES 192

struct log_forward {
	struct log_forward_config config;
	struct redact_stream *streams[2]; /* stdout, stderr */
	struct buf masked;                /* scratch */
	struct buf waiting;               /* frames, none with FRAME_MORE */
	size_t waiting_payload;
	uint64_t offset;        /* payload bytes that are committed */
	size_t sending_payload; /* in the upload under way */
	struct report *upload;
	struct event *timer;
	uint64_t sent_ms; /* when the last upload began */
	bool said_full;   /* on_room is due */
	bool full;        /* the backend takes no more */
	bool finishing;
	bool refused;
	uint64_t dropped;
	const struct log_forward_ops *ops;
	void *ctx;
};

static void log_forward_on_timer(int fd, short what, void *ctx);

int log_forward_new(struct log_forward **out,
		    const struct log_forward_config *config,
		    const struct log_forward_ops *ops, void *ctx)
{
	struct log_forward *l = calloc(1, sizeof(*l));
	int r;

	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->config = *config;
	l->ops = ops;
	l->ctx = ctx;
	r = redact_stream_new(&l->streams[0], config->redactor);
	if (!r)
		r = redact_stream_new(&l->streams[1], config->redactor);
	l->timer = evtimer_new(config->base, log_forward_on_timer, l);
	if (r || !l->timer) {
		log_forward_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void log_forward_free(struct log_forward *l)
{
	if (!l)
		return;
	report_cancel(l->upload);
	if (l->timer)
		event_free(l->timer);
	redact_stream_free(l->streams[0]);
	redact_stream_free(l->streams[1]);
	buf_deinit(&l->masked);
	buf_deinit(&l->waiting);
	free(l);
}

uint64_t log_forward_dropped(const struct log_forward *l)
{
	return l->dropped;
}

/* --- uploading ------------------------------------------------------------ */

/* Length of the frame at p, with its header. */
static size_t log_forward_frame_len(const uint8_t *p)
{
	return FRAME_HEADER_BYTES + ((size_t)p[1] << 24 | (size_t)p[2] << 16 |
				     (size_t)p[3] << 8 | p[4]);
}

/* Moves whole frames, at most a batch, from what waits to body. */
static int log_forward_take_batch(struct log_forward *l, struct buf *body)
{
	size_t n = 0, frames = 0;
	int r;

	while (n < l->waiting.len) {
		size_t len = log_forward_frame_len(l->waiting.data + n);

		if (n && n + len > LOG_FORWARD_BATCH_BYTES)
			break;
		n += len;
		frames++;
	}
	r = buf_append(body, l->waiting.data, n);
	if (r < 0)
		return r;
	buf_consume(&l->waiting, n);
	l->sending_payload = n - frames * FRAME_HEADER_BYTES;
	l->waiting_payload -= l->sending_payload;
	return 0;
}

static void log_forward_schedule(struct log_forward *l, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	if (!evtimer_pending(l->timer, NULL))
		evtimer_add(l->timer, &t);
}

static void log_forward_on_answer(const struct backend_response *r, void *ctx);

static void log_forward_upload(struct log_forward *l)
{
	char path[LOG_FORWARD_PATH_MAX_BYTES];
	struct buf body = { 0 };
	const struct report_request req = {
		.path = path,
		.content_type = FRAME_CONTENT_TYPE,
		.body = &body,
	};

	snprintf(path, sizeof(path),
		 "/v1/executions/%s/logs?epoch=%" PRId64 "&offset=%" PRIu64,
		 l->config.execution, l->config.epoch, l->offset);
	if (log_forward_take_batch(l, &body) < 0) {
		log_forward_schedule(l, LOG_FORWARD_BATCH_MS);
		return;
	}
	l->sent_ms = clock_mono_ms();
	if (report_new(&l->upload, l->config.base, l->config.client, &req,
		       log_forward_on_answer, l) < 0) {
		l->dropped += l->sending_payload;
		l->sending_payload = 0;
		log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
			  "out of memory: a part of the log is lost");
		log_forward_schedule(l, LOG_FORWARD_BATCH_MS);
	}
	buf_deinit(&body);
}

/* What is due now: an upload, room, or the end. Callbacks are made from the
 * timer and from answers only. */
static void log_forward_step(struct log_forward *l)
{
	if (l->upload || l->refused)
		return;
	if (l->waiting.len) {
		log_forward_upload(l);
	} else if (l->finishing) {
		l->finishing = false;
		l->ops->on_flushed(l->ctx);
		return;
	}
	if (l->said_full && l->waiting.len < LOG_FORWARD_LOW_WATER_BYTES) {
		l->said_full = false;
		l->ops->on_room(l->ctx);
	}
}

static void log_forward_on_timer(int fd, short what, void *ctx)
{
	log_forward_step(ctx);
}

/* The first bytes after a silence leave at the end of this loop turn. */
static void log_forward_kick(struct log_forward *l)
{
	uint64_t since = clock_mono_ms() - l->sent_ms;

	if (l->upload || l->refused)
		return;
	if (l->finishing || since >= LOG_FORWARD_BATCH_MS ||
	    l->waiting.len >= LOG_FORWARD_BATCH_BYTES) {
		evtimer_del(l->timer);
		log_forward_schedule(l, 0);
	} else {
		log_forward_schedule(l, LOG_FORWARD_BATCH_MS - since);
	}
}

/* --- answers -------------------------------------------------------------- */

static void log_forward_become_full(struct log_forward *l, uint64_t kept)
{
	uint64_t sent = l->offset + l->sending_payload;

	l->full = true;
	l->dropped += kept < sent ? sent - kept : 0;
	l->dropped += l->waiting_payload;
	l->waiting_payload = 0;
	buf_deinit(&l->waiting);
}

static void log_forward_committed(struct log_forward *l, const json_t *o)
{
	uint64_t sent = l->offset + l->sending_payload;

	if (json_get_bool(o, "full", false))
		log_forward_become_full(
			l, (uint64_t)json_get_int(o, "next", (int64_t)sent));
	l->offset = sent;
}

/*
 * A gap means that the backend has lost what it had committed (its database
 * was put back): that part is gone, what follows is not.
 */
static void log_forward_close_gap(struct log_forward *l, const json_t *o)
{
	int64_t expected = json_get_int(o, "expected", 0);

	log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
		  "the backend has %" PRId64 " of %" PRIu64
		  " bytes of the log; one upload is lost, the rest goes on",
		  expected, l->offset);
	l->dropped += l->sending_payload;
	l->offset = (uint64_t)expected;
}

/* Goes on after an answer. */
static void log_forward_next(struct log_forward *l)
{
	l->sending_payload = 0;
	if (l->finishing || l->waiting.len >= LOG_FORWARD_BATCH_BYTES)
		log_forward_step(l);
	else if (l->waiting.len || l->said_full)
		log_forward_kick(l);
}

static void log_forward_on_answer(const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct log_forward *l = ctx;
	char err[128];

	l->upload = NULL;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (r->status >= 200 && r->status < 300)
		log_forward_committed(l, o);
	else if (!strcmp(json_get_str(o, "code", ""), "log_gap"))
		log_forward_close_gap(l, o);
	else if (r->status == 404 || r->status == 409) {
		l->refused = true;
		l->ops->on_refused(l->ctx, json_get_str(o, "detail", "gone"));
		return; /* and l may be gone, too */
	} else {
		log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
			  "the backend refuses the log: %s (status %d)",
			  json_get_str(o, "detail", "no detail"), r->status);
		log_forward_become_full(l, l->offset);
	}
	log_forward_next(l);
}

/* --- writing -------------------------------------------------------------- */

/* Queues payload as frames that each stand alone, so that a batch may end
 * after any of them. */
static int log_forward_queue(struct log_forward *l, enum frame_type type,
			     const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = MIN(len, (size_t)FRAME_PAYLOAD_MAX_BYTES);
		int r = frame_append(&l->waiting, type, data, n);

		if (r < 0)
			return r;
		l->waiting_payload += n;
		data += n;
		len -= n;
	}
	if (l->waiting.len > LOG_FORWARD_HIGH_WATER_BYTES && !l->said_full) {
		l->said_full = true;
		l->ops->on_full(l->ctx);
	}
	if (l->waiting.len)
		log_forward_kick(l);
	return 0;
}

int log_forward_write(struct log_forward *l, enum frame_type type,
		      const void *data, size_t len)
{
	int r;

	if (l->full || l->refused) {
		l->dropped += len;
		return 0;
	}
	r = redact_stream_feed(l->streams[type == FRAME_STDERR], data, len,
			       &l->masked);
	if (!r)
		r = log_forward_queue(l, type, l->masked.data, l->masked.len);
	buf_clear(&l->masked);
	return r;
}

int log_forward_notice(struct log_forward *l, const char *line)
{
	struct buf text = { 0 };
	int r;

	if (l->full || l->refused)
		return 0;
	r = buf_printf(&text, "%s\n", line);
	if (!r)
		r = log_forward_queue(l, FRAME_NOTICE, text.data, text.len);
	buf_deinit(&text);
	return r;
}

/* Shows what a stream held back as the possible beginning of a secret. */
static int log_forward_flush_stream(struct log_forward *l, enum frame_type type)
{
	int r;

	if (l->full || l->refused)
		return 0;
	r = redact_stream_flush(l->streams[type == FRAME_STDERR], &l->masked);
	if (!r)
		r = log_forward_queue(l, type, l->masked.data, l->masked.len);
	buf_clear(&l->masked);
	return r;
}

int log_forward_finish(struct log_forward *l)
{
	int r, r2;

	r = log_forward_flush_stream(l, FRAME_STDOUT);
	r2 = log_forward_flush_stream(l, FRAME_STDERR);
	l->finishing = true;
	log_forward_kick(l);
	return r ? r : r2;
}
