/*
 * Fan-out of changes of variables to those who watch: in the loop turn in
 * which the store has committed a write, each of them is told. Nothing is
 * queued here: a watcher that cannot take a change reads it from the store
 * later. Versions are without a gap, so a watcher also notices one that it was
 * not told of.
 *
 * What is read from the store for all watchers together is bounded: a watcher
 * waits for its turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/macro.h"

#define CHANGE_WATCHERS_MAX 8192
#define CHANGE_WATCHERS_EXECUTION_MAX 256
#define CHANGE_READS_MAX 8 /* from the store, at once */
#define CHANGE_BACKLOG_MAX_BYTES (128 * 1024 * 1024) /* of all replies */
#define CHANGE_RETRY_MS 50 /* to look whether there is room again */
#define CHANGE_TICK_MS 5000

struct backend;
struct change_hub;
struct change_topic;
struct store_change;
struct store_variable;

/* Its frames are made once, when the first watcher wants them. */
struct change_event {
	const struct store_change *change;
	struct buf brief; /* CHANGE */
	struct buf full;  /* CHANGE and VALUE */
};

/* The frames; NULL on ENOMEM. */
const struct buf *change_event_brief(struct change_event *ev);
const struct buf *change_event_full(struct change_event *ev);
/* Appends a CHANGE, and with_value also the VALUE unless it was deleted. */
int change_frames_append(struct buf *out, const struct store_change *c,
			 bool snapshot, bool with_value) MUST_CHECK;

enum change_end {
	CHANGE_END_EXECUTION, /* the execution has ended */
	CHANGE_END_STOP,      /* the backend stops */
};

struct change_watcher;

/* Callbacks may remove their own watcher, no other. */
struct change_watcher_ops {
	void (*on_change)(struct change_watcher *w, struct change_event *ev);
	/* Another backend has written; version 0: or may have. */
	void (*on_news)(struct change_watcher *w, int64_t version);
	/* May read from the store now; says change_hub_read_done(). */
	void (*on_turn)(struct change_watcher *w);
	/* Every CHANGE_TICK_MS; a heartbeat is due at every second one. */
	void (*on_tick)(struct change_watcher *w, bool heartbeat);
	/* It is to be removed. */
	void (*on_end)(struct change_watcher *w, enum change_end why);
};

/* Embedded by value; private to change_hub.c. */
struct change_watcher {
	const struct change_watcher_ops *ops;
	struct change_topic *topic;
	bool added, waiting, reading;
	LIST_ENTRY(change_watcher) entry;
	LIST_ENTRY(change_watcher) of_topic;
	TAILQ_ENTRY(change_watcher) turn;
};

int change_hub_new(struct change_hub **out, struct backend *b) MUST_CHECK;
/* Nobody watches any more. */
void change_hub_free(struct change_hub *h);

/* execution: NULL for an administrator. 0; -EMFILE: too many watch already;
 * -ESHUTDOWN: the backend stops; -ENOMEM. */
int change_hub_add(struct change_hub *h, const char *execution,
		   const struct change_watcher_ops *ops,
		   struct change_watcher *w) MUST_CHECK;
/* One that was never added is fine. */
void change_hub_remove(struct change_hub *h, struct change_watcher *w);

/* Asks for on_turn; never called before this returns. */
void change_hub_want_read(struct change_hub *h, struct change_watcher *w);
void change_hub_read_done(struct change_hub *h, struct change_watcher *w);
/* Whether so many bytes more may wait for their readers: then they do. */
bool change_hub_take_room(struct change_hub *h, size_t bytes);

/* The newest version that was published; 0 before the first. */
int64_t change_hub_newest(const struct change_hub *h);
size_t change_hub_count(const struct change_hub *h);

/* v was written, or deleted. */
void change_hub_publish(struct change_hub *h, const struct store_variable *v,
			bool deleted);
/* Another backend wrote a variable; 0: some may have been written. */
void change_hub_heard(struct change_hub *h, int64_t version);
void change_hub_execution_ended(struct change_hub *h, const char *execution);
void change_hub_stop(struct change_hub *h);
