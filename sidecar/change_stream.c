#include "sidecar/change_stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "backend-client/retry.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/percent.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"

#define PATH "/v1/runtime/changes"

static UNUSED bool may_follow(enum change_stream_state from,
			      enum change_stream_state to)
{
	switch (from) {
	case CHANGE_STREAM_IDLE:
		return to == CHANGE_STREAM_ASKING;
	case CHANGE_STREAM_ASKING:
		return to != CHANGE_STREAM_IDLE && to != CHANGE_STREAM_ASKING;
	case CHANGE_STREAM_OPEN:
		return to == CHANGE_STREAM_WAITING;
	case CHANGE_STREAM_WAITING:
		return to == CHANGE_STREAM_ASKING;
	case CHANGE_STREAM_REFUSED:
		return false;
	}
	return false;
}

static void set_state(struct change_stream *s, enum change_stream_state state)
{
	assert(may_follow(s->state, state));
	s->state = state;
}

static void set_timer(struct change_stream *s, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(&s->timer, &tv);
}

/* --- the end of a call ---------------------------------------------------- */

/* What has arrived and was not told comes again. */
static void forget(struct change_stream *s)
{
	frame_decoder_deinit(&s->decoder);
	s->decoder = (struct frame_decoder){ 0 };
	buf_deinit(&s->refusal);
	s->has_change = false;
	s->streaming = false;
	event_del(&s->turn);
}

static void lose(struct change_stream *s, const char *why)
{
	static const struct retry_backoff backoff = {
		.initial_ms = CHANGE_STREAM_BACKOFF_INITIAL_MS,
		.max_ms = CHANGE_STREAM_BACKOFF_MAX_MS,
	};

	if (s->call)
		backend_call_cancel(s->call);
	s->call = NULL;
	forget(s);
	set_state(s, CHANGE_STREAM_WAITING);
	set_timer(s, retry_delay_ms(&backoff, ++s->failures, arc4random()));
	s->ops->on_lost(s, why);
}

/* It will not be otherwise the next time. */
static bool is_refusal(const struct backend_response *r)
{
	return r->error == BACKEND_OK && r->status >= 400 && r->status < 500 &&
	       r->status != 408 && r->status != 429;
}

static void refuse(struct change_stream *s, const struct backend_response *r)
{
	struct buf body = s->refusal;
	struct backend_response whole = *r;

	whole.body = body.data;
	whole.body_len = body.len;
	s->refusal = (struct buf){ 0 };
	forget(s);
	evtimer_del(&s->timer);
	set_state(s, CHANGE_STREAM_REFUSED);
	s->ops->on_refused(s, &whole); /* s may be gone after this */
	buf_deinit(&body);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct change_stream *s = ctx;
	char why[64];

	s->call = NULL;
	snprintf(why, sizeof(why), "the backend answers %d", r->status);
	if (is_refusal(r))
		refuse(s, r);
	else if (r->error != BACKEND_OK)
		lose(s, r->detail ? r->detail : backend_strerror(r->error));
	else if (r->status != 200)
		lose(s, why);
	else
		lose(s, "the backend has ended the stream");
}

/* --- messages ------------------------------------------------------------- */

static int on_position(struct change_stream *s, const struct frame *f)
{
	char err[128];
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, err,
						     sizeof(err));
	int64_t version = json_get_int(o, "version", -1);
	bool reset = json_get_bool(o, "reset", false);

	if (version < 0)
		return -EBADMSG;
	if (s->state == CHANGE_STREAM_ASKING)
		set_state(s, CHANGE_STREAM_OPEN);
	s->failures = 0;
	s->version = reset ? version : MAX(s->version, version);
	s->ops->on_position(s, (uint64_t)version, reset);
	return 0;
}

static void tell(struct change_stream *s)
{
	struct change *c = &s->change;

	s->has_change = false;
	/* A snapshot is of the position: the key's own version is older. */
	if (!c->snapshot && (int64_t)c->version <= s->version)
		return;
	s->version = MAX(s->version, (int64_t)c->version);
	s->ops->on_change(s, c);
}

static int on_change(struct change_stream *s, const struct frame *f)
{
	char err[128];
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, err,
						     sizeof(err));
	const char *key = json_get_str(o, "key", "");
	int64_t version = json_get_int(o, "version", -1);

	if (!*key || strlen(key) > CHANGE_STREAM_KEY_BYTES || version < 0)
		return -EBADMSG;
	strcpy(s->change_key, key);
	s->change = (struct change){
		.key = s->change_key,
		.version = (uint64_t)version,
		.deleted = json_get_bool(o, "deleted", false),
		.secret = json_get_bool(o, "secret", false),
		.snapshot = json_get_bool(o, "snapshot", false),
	};
	s->has_change = true;
	if (!s->key || s->change.deleted)
		tell(s);
	return 0;
}

static int on_message(struct change_stream *s, const struct frame *f)
{
	if (f->type == FRAME_HEARTBEAT)
		return 0;
	if (s->has_change != (f->type == FRAME_VALUE))
		return -EBADMSG;
	if (f->type == FRAME_POSITION)
		return on_position(s, f);
	if (s->state != CHANGE_STREAM_OPEN)
		return -EBADMSG;
	if (f->type == FRAME_CHANGE)
		return on_change(s, f);
	if (f->type != FRAME_VALUE)
		return 0; /* a newer backend may say more */
	s->change.value = f->payload;
	s->change.len = f->len;
	tell(s);
	return 0;
}

/* Tells what is complete, until somebody holds the stream. */
static void decode(struct change_stream *s)
{
	struct frame f;
	int r = 0;

	while (!s->held && s->streaming && !r) {
		r = frame_decoder_next(&s->decoder, &f);
		if (!r)
			r = on_message(s, &f);
	}
	if (r == FRAME_E_INVALID || r == -EBADMSG)
		lose(s, "the backend's stream of changes cannot be understood");
	else if (r < 0)
		lose(s, "out of memory");
}

/* --- the call ------------------------------------------------------------- */

static void on_headers(struct backend_call *call,
		       const struct backend_response *r, void *ctx)
{
	struct change_stream *s = ctx;
	const char *type = backend_response_header(r, "content-type");

	s->heard = true;
	s->streaming = r->status == 200 && type &&
		       !strcmp(type, FRAME_CONTENT_TYPE);
}

static void on_data(struct backend_call *call, const uint8_t *data, size_t len,
		    void *ctx)
{
	struct change_stream *s = ctx;

	s->heard = true;
	if (!s->streaming) {
		len = MIN(len, CHANGE_STREAM_REFUSAL_BYTES - s->refusal.len);
		if (buf_append(&s->refusal, data, len) < 0)
			lose(s, "out of memory");
	} else if (frame_decoder_feed(&s->decoder, data, len) < 0) {
		lose(s, "out of memory");
	} else {
		decode(s);
	}
}

static int call(struct change_stream *s)
{
	static const struct backend_call_ops ops = {
		.on_headers = on_headers,
		.on_data = on_data,
		.on_done = on_done,
	};
	char path[FORWARD_PATH_BYTES] = PATH, traceparent[TRACE_PARENT_BYTES];
	const struct backend_header headers[] = {
		{ "traceparent", traceparent },
		{ "accept", FRAME_CONTENT_TYPE },
	};
	const struct backend_request req = {
		.method = "GET",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.retry = BACKEND_RETRY_NEVER,
	};
	char *p = path + strlen(path);

	trace_parent(s->trace, traceparent);
	if (s->key) {
		p = stpcpy(p, "?key=");
		p += percent_encode(s->key, p);
	}
	if (s->version >= 0)
		sprintf(p, "%cfrom=%" PRId64, s->key ? '&' : '?', s->version);
	return backend_client_call(s->execution->backend, &req, &ops, s,
				   &s->call);
}

static void ask(struct change_stream *s)
{
	set_state(s, CHANGE_STREAM_ASKING);
	s->heard = false;
	if (call(s) < 0) {
		lose(s, "out of memory");
		return;
	}
	if (s->held)
		backend_call_pause(s->call);
	set_timer(s, CHANGE_STREAM_SILENCE_MS);
}

/* A held stream hears nothing, and need not. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct change_stream *s = arg;

	if (s->state == CHANGE_STREAM_IDLE ||
	    s->state == CHANGE_STREAM_WAITING) {
		ask(s);
	} else if (s->heard || s->held) {
		s->heard = false;
		set_timer(s, CHANGE_STREAM_SILENCE_MS);
	} else {
		lose(s, "the backend is silent");
	}
}

/* --- life ----------------------------------------------------------------- */

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	decode(arg);
}

void change_stream_init(struct change_stream *s, struct execution *x,
			const struct change_stream_ops *ops, const char *key,
			const char *trace, int64_t from)
{
	*s = (struct change_stream){
		.execution = x,
		.ops = ops,
		.key = key,
		.version = from,
	};
	if (!trace)
		trace = execution_trace(x);
	if (trace)
		memcpy(s->trace, trace, sizeof(s->trace));
	else
		trace_new(s->trace);
	event_assign(&s->timer, x->base, -1, 0, on_timer, s);
	event_assign(&s->turn, x->base, -1, 0, on_turn, s);
}

/* A timer, so that what this turn of the loop has to write goes first. */
void change_stream_start(struct change_stream *s)
{
	set_timer(s, 0);
}

void change_stream_deinit(struct change_stream *s)
{
	if (s->call)
		backend_call_cancel(s->call);
	s->call = NULL;
	forget(s);
	event_del(&s->timer);
}

void change_stream_hold(struct change_stream *s)
{
	s->held = true;
	if (s->call)
		backend_call_pause(s->call);
}

void change_stream_release(struct change_stream *s)
{
	if (!s->held)
		return;
	s->held = false;
	s->heard = true;
	if (!s->call)
		return;
	backend_call_resume(s->call);
	event_active(&s->turn, EV_TIMEOUT, 0);
}
