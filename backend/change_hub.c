#include "backend/change_hub.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <uthash.h>

#include "backend/backend.h"
#include "backend/store.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/http/server.h"
#include "common/id.h"

/* The watchers of one execution. */
struct change_topic {
	char execution[ID_MAX_BYTES];
	LIST_HEAD(, change_watcher) watchers;
	size_t n;
	UT_hash_handle hh;
};

struct change_hub {
	struct backend *b;
	LIST_HEAD(, change_watcher) watchers;
	struct change_topic *topics; /* by execution */
	size_t n;
	int64_t newest;
	TAILQ_HEAD(, change_watcher) turns; /* who waits to read */
	size_t reads;                       /* under way */
	uint64_t taken; /* bytes that the server will count after this turn */
	bool stopped;
	struct event *tick, *wake, *retry;
	uint64_t ticks;
};

/* --- frames -------------------------------------------------------------- */

int change_frames_append(struct buf *out, const struct store_change *c,
			 bool snapshot, bool with_value)
{
	bool value = with_value && !c->deleted;
	struct buf text = { 0 };
	size_t before = out->len;
	/* A key has no character that JSON escapes: var_key.h. */
	int r = buf_printf(&text,
			   "{\"key\":\"%s\",\"version\":%lld,\"deleted\":%s,"
			   "\"secret\":%s,\"snapshot\":%s,\"value_bytes\":%zu}",
			   c->key, (long long)c->version,
			   c->deleted ? "true" : "false",
			   c->secret ? "true" : "false",
			   snapshot ? "true" : "false",
			   value ? c->value.len : 0);

	if (!r)
		r = frame_append(out, FRAME_CHANGE, text.data, text.len);
	if (!r && value)
		r = frame_append(out, FRAME_VALUE, c->value.data, c->value.len);
	if (r)
		out->len = before;
	buf_deinit(&text);
	return r;
}

static const struct buf *event_frames(struct change_event *ev, struct buf *b,
				      bool with_value)
{
	if (!b->len && change_frames_append(b, ev->change, false, with_value))
		return NULL;
	return b;
}

const struct buf *change_event_brief(struct change_event *ev)
{
	return event_frames(ev, &ev->brief, false);
}

const struct buf *change_event_full(struct change_event *ev)
{
	return event_frames(ev, &ev->full, true);
}

/* --- who watches --------------------------------------------------------- */

static struct change_topic *hub_topic(const struct change_hub *h,
				      const char *execution)
{
	struct change_topic *t;

	HASH_FIND_STR(h->topics, execution, t);
	return t;
}

static int hub_topic_join(struct change_hub *h, const char *execution,
			  struct change_watcher *w)
{
	struct change_topic *t = hub_topic(h, execution);

	if (t && t->n == CHANGE_WATCHERS_EXECUTION_MAX)
		return -EMFILE;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		snprintf(t->execution, sizeof(t->execution), "%s", execution);
		LIST_INIT(&t->watchers);
		HASH_ADD_STR(h->topics, execution, t);
		if (!t->hh.tbl) {
			free(t);
			return -ENOMEM;
		}
	}
	LIST_INSERT_HEAD(&t->watchers, w, of_topic);
	t->n++;
	w->topic = t;
	return 0;
}

static void hub_topic_leave(struct change_hub *h, struct change_watcher *w)
{
	struct change_topic *t = w->topic;

	if (!t)
		return;
	w->topic = NULL;
	LIST_REMOVE(w, of_topic);
	if (--t->n)
		return;
	HASH_DEL(h->topics, t);
	free(t);
}

int change_hub_add(struct change_hub *h, const char *execution,
		   const struct change_watcher_ops *ops,
		   struct change_watcher *w)
{
	int r = 0;

	*w = (struct change_watcher){ .ops = ops };
	if (h->stopped)
		return -ESHUTDOWN;
	if (h->n == CHANGE_WATCHERS_MAX)
		return -EMFILE;
	if (execution)
		r = hub_topic_join(h, execution, w);
	if (r)
		return r;
	w->added = true;
	LIST_INSERT_HEAD(&h->watchers, w, entry);
	h->n++;
	return 0;
}

void change_hub_remove(struct change_hub *h, struct change_watcher *w)
{
	if (!w->added)
		return;
	w->added = false;
	LIST_REMOVE(w, entry);
	h->n--;
	hub_topic_leave(h, w);
	if (w->waiting)
		TAILQ_REMOVE(&h->turns, w, turn);
	w->waiting = false;
	change_hub_read_done(h, w);
}

size_t change_hub_count(const struct change_hub *h)
{
	return h->n;
}

int64_t change_hub_newest(const struct change_hub *h)
{
	return h->newest;
}

/* --- turns to read ------------------------------------------------------- */

static bool hub_has_room(const struct change_hub *h, size_t bytes)
{
	struct http_server_stats stats;

	http_server_get_stats(h->b->server, &stats);
	return stats.reply_bytes + h->taken + bytes <= CHANGE_BACKLOG_MAX_BYTES;
}

static void hub_retry_later(struct change_hub *h)
{
	const struct timeval tv = clock_timeval(CHANGE_RETRY_MS);

	if (!event_pending(h->retry, EV_TIMEOUT, NULL))
		event_add(h->retry, &tv);
}

static void hub_pump(struct change_hub *h)
{
	struct change_watcher *w;

	while (h->reads < CHANGE_READS_MAX && (w = TAILQ_FIRST(&h->turns))) {
		if (!hub_has_room(h, 0)) {
			hub_retry_later(h);
			break;
		}
		TAILQ_REMOVE(&h->turns, w, turn);
		w->waiting = false;
		w->reading = true;
		h->reads++;
		w->ops->on_turn(w);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct change_hub *h = ctx;

	h->taken = 0;
	hub_pump(h);
}

/* At the end of this loop turn: the caller may be going through the
 * watchers. */
static void hub_wake(struct change_hub *h)
{
	event_active(h->wake, EV_TIMEOUT, 0);
}

bool change_hub_take_room(struct change_hub *h, size_t bytes)
{
	if (!hub_has_room(h, bytes))
		return false;
	h->taken += bytes;
	hub_wake(h);
	return true;
}

void change_hub_want_read(struct change_hub *h, struct change_watcher *w)
{
	w->waiting = true;
	TAILQ_INSERT_TAIL(&h->turns, w, turn);
	hub_wake(h);
}

void change_hub_read_done(struct change_hub *h, struct change_watcher *w)
{
	if (!w->reading)
		return;
	w->reading = false;
	h->reads--;
	if (!TAILQ_EMPTY(&h->turns))
		hub_wake(h);
}

/* --- telling them -------------------------------------------------------- */

void change_hub_publish(struct change_hub *h, const struct store_variable *v,
			bool deleted)
{
	const struct store_change change = {
		.key = v->key,
		.version = v->version,
		.deleted = deleted,
		.secret = v->secret,
		.value = v->value,
	};
	struct change_event ev = { .change = &change };
	struct change_watcher *w, *next;

	h->newest = MAX(h->newest, v->version);
	for (w = LIST_FIRST(&h->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		w->ops->on_change(w, &ev);
	}
	buf_deinit(&ev.brief);
	buf_deinit_secret(&ev.full);
}

void change_hub_heard(struct change_hub *h, int64_t version)
{
	struct change_watcher *w, *next;

	h->newest = MAX(h->newest, version);
	for (w = LIST_FIRST(&h->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		w->ops->on_news(w, version);
	}
}

void change_hub_execution_ended(struct change_hub *h, const char *execution)
{
	struct change_topic *t = hub_topic(h, execution);
	struct change_watcher *w = t ? LIST_FIRST(&t->watchers) : NULL, *next;

	for (; w; w = next) {
		next = LIST_NEXT(w, of_topic);
		w->ops->on_end(w, CHANGE_END_EXECUTION);
	}
}

void change_hub_stop(struct change_hub *h)
{
	struct change_watcher *w, *next;

	h->stopped = true;
	event_del(h->tick);
	for (w = LIST_FIRST(&h->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		w->ops->on_end(w, CHANGE_END_STOP);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct change_hub *h = ctx;
	bool heartbeat = ++h->ticks % (FRAME_HEARTBEAT_MS / CHANGE_TICK_MS) ==
			 0;
	struct change_watcher *w, *next;

	for (w = LIST_FIRST(&h->watchers); w; w = next) {
		next = LIST_NEXT(w, entry);
		w->ops->on_tick(w, heartbeat);
	}
}

/* --- life ---------------------------------------------------------------- */

int change_hub_new(struct change_hub **out, struct backend *b)
{
	const struct timeval tv = clock_timeval(CHANGE_TICK_MS);
	struct change_hub *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->b = b;
	LIST_INIT(&h->watchers);
	TAILQ_INIT(&h->turns);
	h->tick = event_new(b->base, -1, EV_PERSIST, on_tick, h);
	h->wake = event_new(b->base, -1, 0, on_wake, h);
	h->retry = event_new(b->base, -1, 0, on_wake, h);
	if (!h->tick || !h->wake || !h->retry || event_add(h->tick, &tv)) {
		change_hub_free(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void change_hub_free(struct change_hub *h)
{
	if (!h)
		return;
	if (h->tick)
		event_free(h->tick);
	if (h->wake)
		event_free(h->wake);
	if (h->retry)
		event_free(h->retry);
	free(h);
}
