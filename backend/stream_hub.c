#include "backend/stream_hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/id.h"

#define TOPIC_KEY_MAX_BYTES (ID_MAX_BYTES + 2) /* "i" or "o", and the job */

TAILQ_HEAD(stream_writers, stream_writer);

struct stream_topic {
	char key[TOPIC_KEY_MAX_BYTES];
	LIST_HEAD(, stream_reader) readers;
	struct stream_writers waiting; /* in the order in which they came */
	size_t n_admitted;
	int64_t admitted_bytes; /* that are being stored */
	int64_t bytes;          /* of the stream; -1: not known yet */
	int64_t taken; /* by the last reader of an input when it left */
	bool input;
	bool shared;       /* readers may be with other backends */
	bool kept;         /* an input that its job has to read */
	unsigned int busy; /* callbacks run: do not free */
	UT_hash_handle hh;
};

struct stream_hub {
	struct stream_topic *topics;
	struct stream_writers by_deadline;
	size_t n_readers, n_waiting, waiting_bytes;
	bool stopping, shared;
};

int stream_hub_new(struct stream_hub **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	TAILQ_INIT(&(*out)->by_deadline);
	return 0;
}

void stream_hub_free(struct stream_hub *h)
{
	struct stream_topic *t, *tmp;

	if (!h)
		return;
	HASH_ITER(hh, h->topics, t, tmp)
	{
		HASH_DEL(h->topics, t);
		free(t);
	}
	free(h);
}

/* --- topics -------------------------------------------------------------- */

static void topic_key(char key[TOPIC_KEY_MAX_BYTES], const char *job,
		      enum store_stream_kind kind)
{
	snprintf(key, TOPIC_KEY_MAX_BYTES, "%c%s",
		 kind == STORE_STREAM_INPUT ? 'i' : 'o', job);
}

static struct stream_topic *topic_find(const struct stream_hub *h,
				       const char *job,
				       enum store_stream_kind kind)
{
	char key[TOPIC_KEY_MAX_BYTES];
	struct stream_topic *t;

	topic_key(key, job, kind);
	HASH_FIND_STR(h->topics, key, t);
	return t;
}

/* Found or made; NULL on ENOMEM. */
static struct stream_topic *topic_get(struct stream_hub *h, const char *job,
				      enum store_stream_kind kind)
{
	struct stream_topic *t = topic_find(h, job, kind);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	topic_key(t->key, job, kind);
	t->input = kind == STORE_STREAM_INPUT;
	t->shared = h->shared;
	t->bytes = -1;
	LIST_INIT(&t->readers);
	TAILQ_INIT(&t->waiting);
	HASH_ADD_STR(h->topics, key, t);
	if (t->hh.tbl)
		return t;
	free(t);
	return NULL;
}

static void topic_drop_unused(struct stream_hub *h, struct stream_topic *t)
{
	if (t->busy || t->kept || t->n_admitted || !LIST_EMPTY(&t->readers) ||
	    !TAILQ_EMPTY(&t->waiting))
		return;
	HASH_DEL(h->topics, t);
	free(t);
}

static void topic_tell(struct stream_topic *t, bool stop)
{
	struct stream_reader *r, *next;

	for (r = LIST_FIRST(&t->readers); r; r = next) {
		next = LIST_NEXT(r, entry);
		r->on_event(r, stop);
	}
}

/* --- the window ---------------------------------------------------------- */

/* What the slowest of those that count has taken; -1: nobody counts. */
static int64_t topic_taken(const struct stream_topic *t)
{
	const struct stream_reader *r = LIST_FIRST(&t->readers);
	int64_t taken;

	if (!r)
		return t->input && !t->shared ? t->taken : -1;
	taken = r->taken;
	while ((r = LIST_NEXT(r, entry)))
		taken = MIN(taken, r->taken);
	return taken;
}

/* One that is alone may always go on, however large it is. */
static bool topic_has_room(const struct stream_topic *t, size_t bytes)
{
	int64_t taken = topic_taken(t), ahead;

	if (taken < 0 || t->bytes < 0)
		return true;
	ahead = t->bytes + t->admitted_bytes - taken;
	return ahead <= 0 || ahead + (int64_t)bytes <= STREAM_WINDOW_BYTES;
}

static void topic_admit(struct stream_topic *t, struct stream_writer *w)
{
	t->n_admitted++;
	t->admitted_bytes += (int64_t)w->bytes;
}

static void writer_unqueue(struct stream_hub *h, struct stream_writer *w)
{
	TAILQ_REMOVE(&w->topic->waiting, w, entry);
	TAILQ_REMOVE(&h->by_deadline, w, by_deadline);
	w->waiting = false;
	h->n_waiting--;
	h->waiting_bytes -= w->bytes;
}

/* The writer may be gone after it. */
static void writer_tell(struct stream_hub *h, struct stream_writer *w,
			enum stream_verdict v)
{
	struct stream_topic *t = w->topic;

	writer_unqueue(h, w);
	if (v == STREAM_ADMITTED)
		topic_admit(t, w);
	else
		w->topic = NULL;
	t->busy++;
	w->on_verdict(w, v);
	t->busy--;
}

/* Lets those through for whom there is room now. */
static void topic_settle(struct stream_hub *h, struct stream_topic *t)
{
	struct stream_writer *w;

	while ((w = TAILQ_FIRST(&t->waiting)) && topic_has_room(t, w->bytes))
		writer_tell(h, w, STREAM_ADMITTED);
	topic_drop_unused(h, t);
}

/* --- readers ------------------------------------------------------------- */

int stream_hub_read(struct stream_hub *h, const char *job,
		    enum store_stream_kind kind, int64_t at,
		    struct stream_reader *r)
{
	struct stream_topic *t = topic_get(h, job, kind);

	if (!t)
		return -ENOMEM;
	r->topic = t;
	r->taken = at;
	LIST_INSERT_HEAD(&t->readers, r, entry);
	h->n_readers++;
	/* A job that asks again may have taken more, or less, than before. */
	topic_settle(h, t);
	return 0;
}

void stream_hub_taken(struct stream_hub *h, struct stream_reader *r, int64_t at,
		      int64_t bytes)
{
	struct stream_topic *t = r->topic;

	if (!t)
		return;
	r->taken = at;
	t->bytes = MAX(t->bytes, bytes);
	topic_settle(h, t);
}

void stream_hub_unread(struct stream_hub *h, struct stream_reader *r)
{
	struct stream_topic *t = r->topic;

	if (!t)
		return;
	r->topic = NULL;
	LIST_REMOVE(r, entry);
	h->n_readers--;
	t->taken = r->taken;
	topic_settle(h, t);
}

/* --- writers ------------------------------------------------------------- */

static bool hub_may_wait(const struct stream_hub *h, size_t bytes)
{
	return h->n_waiting < STREAM_WAITING_MAX &&
	       h->waiting_bytes + bytes <= STREAM_WAITING_MAX_BYTES;
}

int stream_hub_write(struct stream_hub *h, const char *job,
		     enum store_stream_kind kind, int64_t now_ms,
		     struct stream_writer *w, enum stream_verdict *verdict,
		     bool *waits)
{
	struct stream_topic *t = topic_get(h, job, kind);

	*waits = false;
	*verdict = STREAM_ADMITTED;
	if (!t)
		return -ENOMEM;
	w->topic = t;
	w->waiting = false;
	if (TAILQ_EMPTY(&t->waiting) && topic_has_room(t, w->bytes)) {
		topic_admit(t, w);
		return 0;
	}
	if (h->stopping || !hub_may_wait(h, w->bytes)) {
		*verdict = h->stopping ? STREAM_STOPPING : STREAM_FULL;
		w->topic = NULL;
		topic_drop_unused(h, t);
		return 0;
	}
	*waits = true;
	w->waiting = true;
	w->deadline_ms = now_ms + STREAM_WAIT_MS;
	TAILQ_INSERT_TAIL(&t->waiting, w, entry);
	TAILQ_INSERT_TAIL(&h->by_deadline, w, by_deadline);
	h->n_waiting++;
	h->waiting_bytes += w->bytes;
	return 0;
}

void stream_hub_written(struct stream_hub *h, struct stream_writer *w,
			int64_t bytes, bool grown)
{
	struct stream_topic *t = w->topic;

	if (!t)
		return;
	w->topic = NULL;
	t->n_admitted--;
	t->admitted_bytes -= (int64_t)w->bytes;
	t->bytes = MAX(t->bytes, bytes);
	t->kept |= grown && t->input;
	t->busy++;
	if (grown)
		topic_tell(t, false);
	t->busy--;
	topic_settle(h, t);
}

void stream_hub_leave(struct stream_hub *h, struct stream_writer *w)
{
	struct stream_topic *t = w->topic;

	if (!w->waiting)
		return;
	writer_unqueue(h, w);
	w->topic = NULL;
	topic_settle(h, t); /* a smaller one may have waited behind it */
}

int64_t stream_hub_expire(struct stream_hub *h, int64_t now_ms)
{
	struct stream_writer *w;

	while ((w = TAILQ_FIRST(&h->by_deadline)) && w->deadline_ms <= now_ms) {
		struct stream_topic *t = w->topic;

		writer_tell(h, w, STREAM_FULL);
		topic_settle(h, t);
	}
	return w ? w->deadline_ms : -1;
}

/* --- jobs ---------------------------------------------------------------- */

static void topic_job_ended(struct stream_hub *h, struct stream_topic *t)
{
	struct stream_writer *w;

	if (!t)
		return;
	t->kept = false;
	t->busy++;
	topic_tell(t, false);
	while ((w = TAILQ_FIRST(&t->waiting)))
		writer_tell(h, w, STREAM_ADMITTED);
	t->busy--;
	topic_drop_unused(h, t);
}

static void topic_heard(struct stream_hub *h, struct stream_topic *t)
{
	if (!t)
		return;
	t->busy++;
	topic_tell(t, false);
	t->busy--;
	topic_drop_unused(h, t);
}

void stream_hub_heard(struct stream_hub *h, const char *job)
{
	topic_heard(h, topic_find(h, job, STORE_STREAM_INPUT));
	topic_heard(h, topic_find(h, job, STORE_STREAM_OUTPUT));
}

void stream_hub_heard_all(struct stream_hub *h)
{
	struct stream_topic *t, *tmp;

	HASH_ITER(hh, h->topics, t, tmp)
	topic_heard(h, t);
}

void stream_hub_set_shared(struct stream_hub *h)
{
	h->shared = true;
}

void stream_hub_job_ended(struct stream_hub *h, const char *job)
{
	topic_job_ended(h, topic_find(h, job, STORE_STREAM_INPUT));
	topic_job_ended(h, topic_find(h, job, STORE_STREAM_OUTPUT));
}

void stream_hub_stop(struct stream_hub *h)
{
	struct stream_topic *t, *tmp;
	struct stream_writer *w;

	h->stopping = true;
	HASH_ITER(hh, h->topics, t, tmp)
	{
		t->busy++;
		topic_tell(t, true);
		while ((w = TAILQ_FIRST(&t->waiting)))
			writer_tell(h, w, STREAM_STOPPING);
		t->busy--;
		topic_drop_unused(h, t);
	}
}

void stream_hub_get_stats(const struct stream_hub *h,
			  struct stream_hub_stats *out)
{
	*out = (struct stream_hub_stats){
		.topics = HASH_COUNT(h->topics),
		.readers = h->n_readers,
		.waiting = h->n_waiting,
		.waiting_bytes = h->waiting_bytes,
	};
}
