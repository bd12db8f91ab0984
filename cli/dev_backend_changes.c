/* The fake backend: streams of changes of variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "common/frame.h"

/* One stream. */
struct dev_watch {
	LIST_ENTRY(dev_watch) link;
	struct dev_call *call;
	char key[VAR_KEY_MAX_BYTES + 1]; /* "" for all */
	int64_t version;                 /* all up to this one is told */
	bool full;
};

static void watch_free(void *data)
{
	struct dev_watch *w = data;

	LIST_REMOVE(w, link);
	w->call->b->n_watches--;
	free(w);
}

/* It is asked for again, from where it stood. */
static void watch_break(struct dev_watch *w)
{
	struct dev_call *call = w->call;

	http_respond_abort(call->ex);
	dev_call_free(call);
}

static int append_position(struct buf *out, int64_t version, bool reset)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "{\"version\":%lld,\"reset\":%s}",
			 (long long)version, reset ? "true" : "false");

	return frame_append(out, FRAME_POSITION, text, (size_t)n);
}

/* value NULL: without one. */
static int append_change(struct buf *out, const struct dev_change *c,
			 bool snapshot, const struct buf *value)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	int r = buf_printf(&text,
			   "{\"key\":\"%s\",\"version\":%lld,\"deleted\":%s,"
			   "\"secret\":%s,\"snapshot\":%s,\"value_bytes\":%zu}",
			   c->key, (long long)c->version,
			   c->deleted ? "true" : "false",
			   c->secret ? "true" : "false",
			   snapshot ? "true" : "false", value ? value->len : 0);

	if (!r)
		r = frame_append(out, FRAME_CHANGE, text.data, text.len);
	if (!r && value)
		r = frame_append(out, FRAME_VALUE, value->data, value->len);
	return r;
}

/* How the key is now. */
static int append_snapshot(const struct dev_watch *w, struct buf *out)
{
	const struct dev_store *s = &w->call->b->state->store;
	const struct dev_variable *v = dev_store_find(s, w->key);
	const struct dev_change c = {
		.key = (char *)(uintptr_t)w->key,
		.version = v ? v->version : s->version,
		.deleted = !v,
		.secret = v && v->secret,
	};

	return append_change(out, &c, true, v ? &v->value : NULL);
}

static int append_changes(struct dev_watch *w, struct buf *out)
{
	const struct dev_state *s = w->call->b->state;
	const struct dev_change *c;
	int r = 0;

	TAILQ_FOREACH(c, &s->store.changes, link) {
		if (r || c->version <= w->version)
			continue;
		if (*w->key && !strcmp(w->key, c->key))
			r = append_change(
				out, c, false,
				c->deleted ? NULL
					   : dev_change_value(&s->store, c));
		else if (!*w->key && token_may_read(&s->claims, c->key))
			r = append_change(out, c, false, NULL);
		w->version = c->version;
	}
	w->version = s->store.version;
	return r;
}

/* False: the stream is gone. */
static bool watch_write(struct dev_watch *w, int r, const struct buf *frames)
{
	if (r < 0) {
		watch_break(w);
		return false;
	}
	if (frames->len)
		w->full = !http_respond_write(w->call->ex, frames->data,
					      frames->len);
	return true;
}

static void watch_go_on(struct dev_watch *w)
{
	_cleanup_(buf_deinit_secret) struct buf frames = { 0 };
	const struct dev_store *s = &w->call->b->state->store;

	if (w->full || w->version == s->version)
		return;
	if (dev_store_lost(s, *w->key ? w->key : NULL, w->version) &&
	    w->version < s->version)
		watch_break(w);
	else
		watch_write(w, append_changes(w, &frames), &frames);
}

void dev_changes_publish(struct dev_backend *b)
{
	struct dev_watch *w, *next;

	for (w = LIST_FIRST(&b->watches); w; w = next) {
		next = LIST_NEXT(w, link);
		watch_go_on(w);
	}
}

void dev_changes_beat(struct dev_backend *b)
{
	uint8_t frame[FRAME_HEADER_BYTES];
	struct dev_watch *w;

	frame_header_write(frame, FRAME_HEARTBEAT, 0);
	LIST_FOREACH(w, &b->watches, link)
		if (!w->full)
			w->full = !http_respond_write(w->call->ex, frame,
						      sizeof(frame));
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct dev_call *call = data;
	struct dev_watch *w = call->data;

	w->full = false;
	watch_go_on(w);
}

/* from: -1 for now. */
static void watch_begin(struct dev_watch *w, int64_t from)
{
	static const struct http_header headers[] = {
		{ "content-type", FRAME_CONTENT_TYPE },
		{ "cache-control", "no-store" },
	};
	_cleanup_(buf_deinit_secret) struct buf frames = { 0 };
	const struct dev_store *s = &w->call->b->state->store;
	bool reset = from >= 0 &&
		     dev_store_lost(s, *w->key ? w->key : NULL, from);
	int r;

	w->version = reset || from < 0 ? s->version : from;
	r = append_position(&frames, w->version, reset);
	if (!r && *w->key && (reset || from < 0))
		r = append_snapshot(w, &frames);
	http_exchange_on_drain(w->call->ex, on_drain);
	http_respond_start(w->call->ex, 200, headers, ARRAY_SIZE(headers));
	if (watch_write(w, r, &frames))
		watch_go_on(w);
}

void dev_get_changes(struct dev_call *call, const uint8_t *body, size_t len)
{
	struct dev_backend *b = call->b;
	struct dev_watch *w;
	int64_t from;

	if (http_query_get(call->req->query, "key", call->key,
			   sizeof(call->key)) < 0 ||
	    (*call->key && !var_key_valid(call->key))) {
		dev_problem(call, 400, "invalid_key",
			    "a variable's key is " VAR_KEY_RULE);
		return;
	}
	if (!dev_query_number(call, "from", -1, &from))
		return;
	if (b->n_watches == DEV_WATCHES_MAX) {
		dev_problem(call, 429, "too_many_streams",
			    "too many streams of changes are open: close some "
			    "first");
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		dev_no_memory(call);
		return;
	}
	w->call = call;
	snprintf(w->key, sizeof(w->key), "%s", call->key);
	LIST_INSERT_HEAD(&b->watches, w, link);
	b->n_watches++;
	call->data = w;
	call->free_data = watch_free;
	if (*w->key)
		dev_log_say(b->state->log, "watch %s", w->key);
	watch_begin(w, from);
}
