#include "backend/change_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/change_hub.h"
#include "backend/live.h"
#include "backend/store_admin.h"
#include "backend/store_variable.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/log.h"
#include "common/var_key.h"

enum change_stream_state {
	CHANGE_WAITING,
	CHANGE_READING,
	CHANGE_AUDITING,
	CHANGE_LIVE,
	CHANGE_BLOCKED,
};

struct change_stream {
	struct change_watcher watcher;
	struct api_call *call;
	char key[VAR_KEY_MAX_BYTES + 1]; /* "" for all */
	enum change_stream_state state;
	int64_t version; /* all up to this one is told; negative: from now */
	bool more;       /* the store has more than it gave */
	bool started;    /* the reply */
	struct buf page; /* frames, until the audit entry is written */
};

#define TO(state) (1U << CHANGE_##state)

static UNUSED const unsigned int change_stream_moves[] = {
	[CHANGE_WAITING] = TO(READING),
	[CHANGE_READING] = TO(AUDITING) | TO(WAITING) | TO(LIVE) | TO(BLOCKED),
	[CHANGE_AUDITING] = TO(WAITING) | TO(LIVE) | TO(BLOCKED),
	[CHANGE_LIVE] = TO(WAITING) | TO(BLOCKED),
	[CHANGE_BLOCKED] = TO(WAITING) | TO(LIVE),
};

static void change_stream_set_state(struct change_stream *s,
				    enum change_stream_state state)
{
	assert(change_stream_moves[s->state] & (1U << state));
	s->state = state;
}

static void change_stream_read(struct change_stream *s)
{
	change_stream_set_state(s, CHANGE_WAITING);
	change_hub_want_read(s->call->b->changes, &s->watcher);
}

static void on_call_end(struct api_call *call)
{
	struct change_stream *s = call->state;

	change_hub_remove(call->b->changes, &s->watcher);
	buf_deinit_secret(&s->page);
	free(s);
}

static bool change_stream_may_read(const struct change_stream *s,
				   const char *key)
{
	const struct live_token *t = s->call->caller.token;

	return !t || token_may_read(&t->claims, key);
}

/* --- writing ------------------------------------------------------------- */

/* What comes after something was written. */
static void change_stream_next(struct change_stream *s, bool full)
{
	if (full)
		change_stream_set_state(s, CHANGE_BLOCKED);
	else if (s->more || s->version < change_hub_newest(s->call->b->changes))
		change_stream_read(s);
	else
		change_stream_set_state(s, CHANGE_LIVE);
}

static void change_stream_write_page(struct change_stream *s)
{
	bool full;

	if (!s->started)
		api_stream_start(s->call, FRAME_CONTENT_TYPE);
	s->started = true;
	full = !http_respond_write(s->call->ex, s->page.data, s->page.len);
	buf_deinit_secret(&s->page);
	change_stream_next(s, full);
}

/* Live: frames NULL is ENOMEM. */
static void change_stream_push(struct change_stream *s,
			       const struct change_event *ev,
			       const struct buf *frames)
{
	if (!frames) {
		api_stream_abort(s->call);
		return;
	}
	s->version = ev->change->version;
	if (!http_respond_write(s->call->ex, frames->data, frames->len))
		change_stream_set_state(s, CHANGE_BLOCKED);
}

/* --- reading the store --------------------------------------------------- */

static int append_position(struct buf *out, int64_t version, bool reset)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "{\"version\":%lld,\"reset\":%s}",
			 (long long)version, reset ? "true" : "false");

	return frame_append(out, FRAME_POSITION, text, (size_t)n);
}

/* How the key is now; *secret: with a secret's value. */
static int append_snapshot(struct change_stream *s,
			   const struct store_result *result, bool *secret)
{
	const struct store_variable *now = &result->changes.now;
	const struct store_change c = {
		.key = s->key,
		.version = now->version ? now->version
					: result->changes.position,
		.deleted = !now->version,
		.secret = now->secret,
		.value = now->value,
	};

	*secret |= c.secret;
	return change_frames_append(&s->page, &c, true, true);
}

static int append_changes(struct change_stream *s,
			  const struct store_result *result, bool *secret)
{
	int r = 0;

	for (size_t i = 0; i < result->changes.n && !r; i++) {
		const struct store_change *c = &result->changes.items[i];

		if (!*s->key && !change_stream_may_read(s, c->key))
			continue;
		*secret |= *s->key && c->secret && !c->deleted;
		r = change_frames_append(&s->page, c, false, *s->key);
	}
	return r;
}

static int change_stream_fill(struct change_stream *s,
			      const struct store_result *result, bool *secret)
{
	bool now = s->version < 0 || result->changes.reset;
	size_t n = result->changes.n;
	int r = 0;

	if (!s->started)
		r = append_position(&s->page,
				    now ? result->changes.position : s->version,
				    result->changes.reset);
	if (!r && now && *s->key)
		r = append_snapshot(s, result, secret);
	if (!r)
		r = append_changes(s, result, secret);
	s->more = result->changes.more;
	s->version = s->more ? result->changes.items[n - 1].version
			     : result->changes.position;
	return r;
}

static void on_audited(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct change_stream *s = call->state;

	if (r && !s->started)
		api_store_problem(call, r, result, "audit entry");
	else if (r)
		api_stream_abort(call);
	else
		change_stream_write_page(s);
}

/* No secret leaves before its reading is on record. */
static void change_stream_audit(struct change_stream *s)
{
	struct store_audit entry = api_audit(s->call, "secret.read", s->key);
	int r;

	change_stream_set_state(s, CHANGE_AUDITING);
	entry.result = "ok";
	r = store_audit_append(s->call->b->store, &entry,
			       api_done(s->call, on_audited));
	if (r && s->started)
		api_stream_abort(s->call);
	else
		api_start(s->call, r);
}

static void on_changes(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct change_stream *s = call->state;
	bool secret = false;

	change_hub_read_done(call->b->changes, &s->watcher);
	if (s->started && (r || result->changes.reset)) {
		api_stream_abort(call);
		return;
	}
	if (r) {
		api_store_problem(call, r, result, "change");
		return;
	}
	r = change_stream_fill(s, result, &secret);
	if (r && s->started)
		api_stream_abort(call);
	else if (r)
		api_start(call, r);
	else if (secret)
		change_stream_audit(s);
	else
		change_stream_write_page(s);
}

static void on_turn(struct change_watcher *w)
{
	struct change_stream *s = (struct change_stream *)w;
	const struct store_change_query query = {
		.key = *s->key ? s->key : NULL,
		.after = s->version < 0 ? STORE_CHANGES_NONE : s->version,
		.limit = CHANGE_STREAM_READ_MAX,
		.max_bytes = CHANGE_STREAM_READ_BYTES,
	};
	int r;

	change_stream_set_state(s, CHANGE_READING);
	r = store_change_list(s->call->b->store, &query,
			      api_done(s->call, on_changes));
	if (r && s->started)
		api_stream_abort(s->call);
	else
		api_start(s->call, r);
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct api_call *call = data;
	struct change_stream *s = call->state;

	if (s->state == CHANGE_BLOCKED)
		change_stream_next(s, false);
}

/* --- events -------------------------------------------------------------- */

/* Whether the event is to be written as it is. */
static bool change_stream_takes(const struct change_stream *s,
				const struct store_change *c)
{
	if (!*s->key || c->deleted)
		return true;
	return !c->secret &&
	       change_hub_take_room(s->call->b->changes, c->value.len);
}

static void on_change(struct change_watcher *w, struct change_event *ev)
{
	struct change_stream *s = (struct change_stream *)w;
	const struct store_change *c = ev->change;
	bool mine;

	/* Any other state reads it from the store in the end. */
	if (s->state != CHANGE_LIVE || c->version <= s->version)
		return;
	mine = *s->key ? !strcmp(s->key, c->key)
		       : change_stream_may_read(s, c->key);
	if (c->version != s->version + 1 ||
	    (mine && !change_stream_takes(s, c)))
		change_stream_read(s);
	else if (mine)
		change_stream_push(s, ev,
				   *s->key ? change_event_full(ev)
					   : change_event_brief(ev));
	else
		s->version = c->version;
}

/* Any other state reads it from the store in the end. */
static void on_news(struct change_watcher *w, int64_t version)
{
	struct change_stream *s = (struct change_stream *)w;

	if (s->state == CHANGE_LIVE && (!version || version > s->version))
		change_stream_read(s);
}

static void change_stream_heartbeat(struct change_stream *s)
{
	uint8_t frame[FRAME_HEADER_BYTES];
	bool room;

	if (!s->started || s->state == CHANGE_BLOCKED)
		return;
	frame_header_write(frame, FRAME_HEARTBEAT, 0);
	room = http_respond_write(s->call->ex, frame, sizeof(frame));
	if (!room && s->state == CHANGE_LIVE)
		change_stream_set_state(s, CHANGE_BLOCKED);
}

static bool change_stream_expired(const struct change_stream *s)
{
	const struct live_token *t = s->call->caller.token;

	return t &&
	       token_check_times(&t->claims, clock_wall_s()) == TOKEN_E_EXPIRED;
}

static void on_tick(struct change_watcher *w, bool heartbeat)
{
	struct change_stream *s = (struct change_stream *)w;

	if (!s->started)
		return;
	if (http_respond_stalled_ms(s->call->ex) >= CHANGE_STREAM_STALL_MS) {
		log_info(s->call->trace_id,
			 "%s takes no changes any more: cut off",
			 s->call->caller.who);
		api_stream_abort(s->call);
	} else if (change_stream_expired(s)) {
		api_stream_end(s->call);
	} else if (heartbeat) {
		change_stream_heartbeat(s);
	}
}

static void on_end(struct change_watcher *w, enum change_end why)
{
	struct change_stream *s = (struct change_stream *)w;

	if (s->started && why == CHANGE_END_EXECUTION)
		api_stream_end(s->call);
	else if (s->started) /* the reader is to come again */
		api_stream_abort(s->call);
	else if (why == CHANGE_END_EXECUTION)
		api_problem(s->call, 401, "execution_ended",
			    "the execution has ended, and its token with it");
	else
		api_problem(s->call, 503, "stopping",
			    "the backend is stopping");
}

/* --- life ---------------------------------------------------------------- */

static const struct change_watcher_ops change_stream_ops = {
	.on_change = on_change,
	.on_news = on_news,
	.on_turn = on_turn,
	.on_tick = on_tick,
	.on_end = on_end,
};

static void change_stream_refuse(struct api_call *call, int r)
{
	if (r == -EMFILE)
		api_problem(call, 429, "too_many_streams",
			    "too many streams of changes are open: close some "
			    "first");
	else if (r == -ESHUTDOWN)
		api_problem(call, 503, "stopping", "the backend is stopping");
	else
		api_start(call, r);
}

void change_stream_start(struct api_call *call, const char *key, int64_t from)
{
	const struct live_token *t = call->caller.token;
	struct change_stream *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (s)
		r = change_hub_add(call->b->changes,
				   t ? t->claims.subject : NULL,
				   &change_stream_ops, &s->watcher);
	if (r) {
		free(s);
		change_stream_refuse(call, r);
		return;
	}
	s->call = call;
	s->version = from;
	snprintf(s->key, sizeof(s->key), "%s", key ? key : "");
	call->state = s;
	call->on_end = on_call_end;
	http_exchange_on_drain(call->ex, on_drain);
	change_hub_want_read(call->b->changes, &s->watcher);
}
