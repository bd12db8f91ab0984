#include "orchestrator/log_forward.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/fail_point.h"
#include "common/json.h"
#include "common/log.h"
#include "orchestrator/log_source.h"
#include "orchestrator/report.h"

#define LOG_FORWARD_PATH_MAX_BYTES 192

struct log_forward {
	struct log_forward_config config;
	struct log_source source;
	struct log_queue queue;
	struct log_point point;   /* that is committed */
	struct log_point sending; /* that the upload under way leads to */
	struct buf body; /* of an upload that there was no memory to begin */
	struct report *upload;
	struct log_point resume[2]; /* log_forward_resume(): one or the other */
	struct log_position told;   /* by on_taken */
	struct event *timer;
	uint64_t sent_ms; /* when the last upload began */
	bool said_full;   /* on_room is due */
	bool resuming;    /* it is not known yet what the backend has */
	bool finishing;
	bool refused;
	const struct log_forward_ops *ops;
	void *ctx;
};

static void log_forward_on_timer(int fd, short what, void *ctx);

int log_forward_new(struct log_forward **out,
		    const struct log_forward_config *config,
		    const struct log_forward_ops *ops, void *ctx)
{
	struct log_forward *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->config = *config;
	l->ops = ops;
	l->ctx = ctx;
	l->timer = evtimer_new(config->base, log_forward_on_timer, l);
	if (log_source_init(&l->source, config->redactor) || !l->timer) {
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
	log_source_deinit(&l->source);
	buf_deinit(&l->body);
	log_queue_deinit(&l->queue);
	free(l);
}

uint64_t log_forward_dropped(const struct log_forward *l)
{
	return l->point.dropped;
}

/* --- uploading ------------------------------------------------------------ */

static void log_forward_schedule(struct log_forward *l, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	/* Without memory for the timer it is tried at once. */
	if (!evtimer_pending(l->timer, NULL) && evtimer_add(l->timer, &t) < 0)
		event_active(l->timer, EV_TIMEOUT, 0);
}

static bool log_forward_has_more(const struct log_forward *l)
{
	return l->body.len || !log_queue_empty(&l->queue);
}

static void log_forward_on_answer(const struct backend_response *r, void *ctx);

/* The body, and the point that it leads to. */
static int log_forward_take(struct log_forward *l, struct buf *body)
{
	size_t payload;
	int r = log_queue_take(&l->queue, LOG_FORWARD_BATCH_BYTES, body,
			       &payload);

	l->sending = l->point;
	l->sending.offset += payload;
	l->sending.at = l->queue.head;
	return r;
}

static void log_forward_lose(struct log_forward *l, const char *why)
{
	log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
		  "%s: a part of the log is lost", why);
	l->point.dropped += l->sending.offset - l->point.offset;
	l->point.at = l->sending.at;
}

static int log_forward_send(struct log_forward *l, struct buf *body,
			    uint64_t offset, report_done_fn done)
{
	char path[LOG_FORWARD_PATH_MAX_BYTES];
	const struct report_request req = {
		.path = path,
		.content_type = FRAME_CONTENT_TYPE,
		.body = body,
	};

	snprintf(path, sizeof(path),
		 "/v1/executions/%s/logs?epoch=%" PRId64 "&offset=%" PRIu64,
		 l->config.execution, l->config.epoch, offset);
	return report_new(&l->upload, l->config.base, l->config.client, &req,
			  done, l);
}

static void log_forward_tell(struct log_forward *l, const struct log_point *to)
{
	l->ops->on_upload(l->ctx, &l->point, to);
	l->told = l->point.at;
	l->ops->on_taken(l->ctx, &l->told);
}

static int log_forward_begin_upload(struct log_forward *l)
{
	int r = 0;

	if (!l->body.len) {
		r = log_forward_take(l, &l->body);
		if (r < 0)
			return r;
		log_forward_tell(l, &l->sending);
	}
	l->sent_ms = clock_mono_ms();
	return log_forward_send(l, &l->body, l->point.offset,
				log_forward_on_answer);
}

static void log_forward_upload(struct log_forward *l)
{
	if (log_forward_begin_upload(l) < 0)
		log_forward_schedule(l, LOG_FORWARD_BATCH_MS);
}

/* Moves the point where nothing is to be sent for it. */
static void log_forward_pass(struct log_forward *l)
{
	l->point.at = l->queue.tail;
	log_forward_tell(l, &l->point);
}

/* The runner hears with the next upload what is safe; where much is and none
 * follows, as of what is masked or over the limit, at once. */
static void log_forward_pass_by(struct log_forward *l)
{
	const uint64_t *from = l->told.raw, *to = l->queue.tail.raw;
	uint64_t n = 0;

	if (l->upload || l->refused || log_forward_has_more(l))
		return;
	for (size_t i = 0; i < LOG_STREAMS; i++)
		n += to[i] - from[i];
	if (n >= LOG_FORWARD_BATCH_BYTES)
		log_forward_pass(l);
}

/* What is due now: an upload, room, or the end. Callbacks are made from the
 * timer and from answers only. */
static void log_forward_step(struct log_forward *l)
{
	if (l->upload || l->refused || l->resuming)
		return;
	if (log_forward_has_more(l)) {
		log_forward_upload(l);
	} else if (l->finishing) {
		l->finishing = false;
		l->ops->on_flushed(l->ctx);
		return;
	}
	if (l->said_full &&
	    l->queue.entries.len < LOG_FORWARD_LOW_WATER_BYTES) {
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

	if (l->upload || l->refused || l->resuming)
		return;
	if (l->finishing || since >= LOG_FORWARD_BATCH_MS ||
	    l->queue.payload >= LOG_FORWARD_BATCH_BYTES) {
		evtimer_del(l->timer);
		log_forward_schedule(l, 0);
	} else {
		log_forward_schedule(l, LOG_FORWARD_BATCH_MS - since);
	}
}

/* --- answers -------------------------------------------------------------- */

/* From here on everything is counted only. */
static void log_forward_become_full(struct log_forward *l)
{
	l->point.full = true;
	l->point.dropped += l->queue.payload;
	log_queue_drop(&l->queue);
	memcpy(l->queue.tail.raw, l->source.fed, sizeof(l->source.fed));
	memset(l->queue.tail.masks, 0, sizeof(l->queue.tail.masks));
	log_forward_pass(l);
}

static void log_forward_committed(struct log_forward *l, const json_t *o)
{
	int64_t sent = (int64_t)l->sending.offset;
	int64_t kept = json_get_int(o, "next", sent);

	FAIL_POINT("log.committed");
	l->point = l->sending;
	if (json_get_bool(o, "full", false)) {
		l->point.dropped += kept < sent ? (uint64_t)(sent - kept) : 0;
		log_forward_become_full(l);
	}
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
		  expected, l->point.offset);
	log_forward_lose(l, "the backend has gone back");
	l->point.offset = (uint64_t)expected;
}

/* Goes on after an answer. */
static void log_forward_next(struct log_forward *l)
{
	log_forward_pass_by(l);
	if (l->finishing || l->queue.payload >= LOG_FORWARD_BATCH_BYTES)
		log_forward_step(l);
	else if (log_forward_has_more(l) || l->said_full)
		log_forward_kick(l);
}

static void log_forward_refuse(struct log_forward *l, const json_t *o)
{
	l->refused = true;
	l->ops->on_refused(l->ctx, json_get_str(o, "detail", "gone"));
}

static void log_forward_on_answer(const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct log_forward *l = ctx;
	char err[128];

	l->upload = NULL;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (r->status >= 200 && r->status < 300) {
		log_forward_committed(l, o);
	} else if (!strcmp(json_get_str(o, "code", ""), "log_gap")) {
		log_forward_close_gap(l, o);
	} else if (r->status == 404 || r->status == 409) {
		log_forward_refuse(l, o);
		return; /* and l may be gone, too */
	} else {
		log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
			  "the backend refuses the log: %s (status %d)",
			  json_get_str(o, "detail", "no detail"), r->status);
		log_forward_lose(l, "it is no use");
		log_forward_become_full(l);
	}
	log_forward_next(l);
}

/* --- taking up ------------------------------------------------------------ */

static const struct log_point *log_forward_choose(const struct log_forward *l,
						  uint64_t offset)
{
	const struct log_point *from = &l->resume[0], *to = &l->resume[1];

	return offset < to->offset || from->offset == to->offset ? from : to;
}

/* Goes on from the point that the backend has. */
static void log_forward_take_up(struct log_forward *l, const json_t *o)
{
	uint64_t offset = (uint64_t)json_get_int(o, "next", 0);
	const struct log_point *p = log_forward_choose(l, offset);

	if (p->offset != offset && !p->full)
		log_write(LOG_LEVEL_ERROR, l->config.execution, l->config.trace,
			  "the backend has %" PRIu64
			  " bytes of the log, the write-ahead log says %" PRIu64
			  ": something is missing there, or comes twice",
			  offset, p->offset);
	l->point = *p;
	l->point.offset = offset;
	l->point.full |= json_get_bool(o, "full", false);
	l->told = l->resume[0].at;
	log_source_resume(&l->source, &l->told, &p->at);
	log_queue_begin(&l->queue, &p->at);
}

static void log_forward_on_resumed(const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct log_forward *l = ctx;
	char err[128];

	l->upload = NULL;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (r->status < 200 || r->status >= 300) {
		log_forward_refuse(l, o);
		return;
	}
	log_forward_take_up(l, o);
	l->resuming = false;
	if (l->point.full)
		log_queue_drop(&l->queue);
	log_forward_next(l);
	l->ops->on_resumed(l->ctx);
}

int log_forward_resume(struct log_forward *l, const struct log_point *from,
		       const struct log_point *to)
{
	struct buf nothing = { 0 };

	l->resuming = true;
	l->resume[0] = *from;
	l->resume[1] = *to;
	return log_forward_send(l, &nothing, 0, log_forward_on_resumed);
}

/* --- writing -------------------------------------------------------------- */

static int log_forward_put(struct log_forward *l, enum frame_type type,
			   const void *data, size_t len,
			   const struct log_mark *mark)
{
	int r = log_queue_put(&l->queue, type, data, len, mark);

	if (r < 0)
		return r;
	if (l->queue.entries.len > LOG_FORWARD_HIGH_WATER_BYTES &&
	    !l->said_full) {
		l->said_full = true;
		l->ops->on_full(l->ctx);
	}
	if (!log_queue_empty(&l->queue))
		log_forward_kick(l);
	else
		log_forward_pass_by(l);
	return 0;
}

/* len bytes of a stream that nobody will see. */
static void log_forward_count(struct log_forward *l, enum log_stream stream,
			      size_t len)
{
	l->point.dropped += len;
	l->queue.tail.raw[stream] = l->source.fed[stream];
	log_forward_pass_by(l);
}

/* What of the stream is masked by now. */
static int log_forward_put_masked(struct log_forward *l, enum log_stream stream)
{
	const struct log_mark mark = log_source_mark(&l->source, stream);
	struct buf *masked = &l->source.masked;
	int r = log_forward_put(l,
				stream == LOG_STDERR ? FRAME_STDERR
						     : FRAME_STDOUT,
				masked->data, masked->len, &mark);

	buf_clear(masked);
	return r;
}

int log_forward_write(struct log_forward *l, enum frame_type type,
		      const void *data, size_t len)
{
	enum log_stream stream = type == FRAME_STDERR ? LOG_STDERR : LOG_STDOUT;
	size_t again = log_source_count(&l->source, stream, len);
	int r;

	len -= again;
	if (l->point.full || l->refused) {
		log_forward_count(l, stream, len);
		return 0;
	}
	r = log_source_feed(&l->source, stream, (const uint8_t *)data + again,
			    len);
	return r ? r : log_forward_put_masked(l, stream);
}

static int log_forward_put_line(struct log_forward *l, const char *line,
				const struct log_mark *mark)
{
	struct buf text = { 0 };
	int r;

	r = buf_printf(&text, "%s\n", line);
	if (!r)
		r = log_forward_put(l, FRAME_NOTICE, text.data, text.len, mark);
	buf_deinit(&text);
	return r;
}

int log_forward_notice(struct log_forward *l, const char *line)
{
	if (l->point.full || l->refused)
		return 0;
	return log_forward_put_line(l, line, NULL);
}

int log_forward_runner_notice(struct log_forward *l, const char *line,
			      size_t len)
{
	struct log_mark mark;

	if (log_source_count(&l->source, LOG_NOTICE, len))
		return 0;
	if (l->point.full || l->refused) {
		log_forward_count(l, LOG_NOTICE, 0);
		return 0;
	}
	mark = log_source_mark(&l->source, LOG_NOTICE);
	return log_forward_put_line(l, line, &mark);
}

/* Shows what a stream held back as the possible beginning of a secret. */
static int log_forward_flush_stream(struct log_forward *l,
				    enum log_stream stream)
{
	int r;

	if (l->point.full || l->refused)
		return 0;
	r = log_source_flush(&l->source, stream);
	return r ? r : log_forward_put_masked(l, stream);
}

int log_forward_finish(struct log_forward *l)
{
	int r = 0;

	for (size_t i = 0; i < LOG_MASKED_STREAMS; i++) {
		int e = log_forward_flush_stream(l, (enum log_stream)i);

		r = r ? r : e;
	}
	l->finishing = true;
	log_forward_kick(l);
	return r;
}
