/*
 * Who reads and who writes which stream at the moment: readers are told when
 * there is something new, and writers wait while they are too far ahead of the
 * slowest reader. Positions are bytes of the stream.
 *
 * A stream is kept in mind while somebody reads or writes it; the input of a
 * job that was written to also until the job ends, because its job counts as a
 * reader before it has begun, and between two connections. Where nobody
 * counts, nobody waits.
 *
 *   writer:  NEW ──(room)──▶ ADMITTED ──(stored or refused)──▶ DONE
 *             └──▶ WAITING ──(room)──▶ ADMITTED
 *                      └──(STREAM_WAIT_MS, or the backend stops)──▶ DONE
 *
 * Pure: the time is told, with stream_hub_expire().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend/store_record.h"
#include "common/macro.h"

#define STREAM_WINDOW_BYTES (16 * 1024 * 1024)
#define STREAM_WAIT_MS 10000
#define STREAM_WAITING_MAX 256                      /* writers, in all */
#define STREAM_WAITING_MAX_BYTES (64 * 1024 * 1024) /* and what they hold */

struct stream_hub;
struct stream_topic;

/* Embedded by value. on_event: records or the end of the stream came; stop:
 * the backend stops. It may remove its own reader, no other. */
struct stream_reader {
	void (*on_event)(struct stream_reader *r, bool stop);
	struct stream_topic *topic; /* private to stream_hub.c, like the rest */
	int64_t taken;
	LIST_ENTRY(stream_reader) entry;
};

enum stream_verdict {
	STREAM_ADMITTED,
	STREAM_FULL, /* nobody made room in time, or too many wait */
	STREAM_STOPPING,
};

/* Embedded by value. on_verdict is called once for one that had to wait, never
 * from within stream_hub_write(). */
struct stream_writer {
	void (*on_verdict)(struct stream_writer *w, enum stream_verdict v);
	size_t bytes;               /* what it is about to append */
	struct stream_topic *topic; /* private to stream_hub.c, like the rest */
	bool waiting;
	int64_t deadline_ms;
	TAILQ_ENTRY(stream_writer) entry, by_deadline;
};

int stream_hub_new(struct stream_hub **out) MUST_CHECK;
/* Readers and writers are gone by now, or do not look at it any more. */
void stream_hub_free(struct stream_hub *h);

/* --- readers ------------------------------------------------------------- */

/* at: bytes before the first record that it wants. 0 or -ENOMEM. */
int stream_hub_read(struct stream_hub *h, const char *job,
		    enum store_stream_kind kind, int64_t at,
		    struct stream_reader *r) MUST_CHECK;
/* It has taken all before at; bytes: how long the stream is known to be. */
void stream_hub_taken(struct stream_hub *h, struct stream_reader *r, int64_t at,
		      int64_t bytes);
/* One that was never added is fine. */
void stream_hub_unread(struct stream_hub *h, struct stream_reader *r);

/* --- writers ------------------------------------------------------------- */

/*
 * 0: with *waits the writer waits, and stream_hub_expire() is to be called in
 * time; without it *verdict says what becomes of it. -ENOMEM. One that was
 * admitted is to be ended with stream_hub_written().
 */
int stream_hub_write(struct stream_hub *h, const char *job,
		     enum store_stream_kind kind, int64_t now_ms,
		     struct stream_writer *w, enum stream_verdict *verdict,
		     bool *waits) MUST_CHECK;
/* What became of it; one that did not ask is fine. bytes: how long the stream
 * is now, -1 where that is not known; grown: readers are told. */
void stream_hub_written(struct stream_hub *h, struct stream_writer *w,
			int64_t bytes, bool grown);
/* It waits no longer; one that does not is fine. */
void stream_hub_leave(struct stream_hub *h, struct stream_writer *w);
/* Ends the wait of those whose time is up. When to come again; -1: nobody
 * waits. */
int64_t stream_hub_expire(struct stream_hub *h, int64_t now_ms);

/* --- jobs ---------------------------------------------------------------- */

/* Another backend appended to one of its streams: who reads them is told. Of
 * all streams: it may have. */
void stream_hub_heard(struct stream_hub *h, const char *job);
void stream_hub_heard_all(struct stream_hub *h);
/* There are readers that are not known here: nobody waits for them. */
void stream_hub_set_shared(struct stream_hub *h);
/* The job has ended: who reads its streams is told, who waits is let through
 * to be refused. */
void stream_hub_job_ended(struct stream_hub *h, const char *job);
/* The backend stops: everybody is told. */
void stream_hub_stop(struct stream_hub *h);

struct stream_hub_stats {
	size_t topics, readers, waiting, waiting_bytes;
};
void stream_hub_get_stats(const struct stream_hub *h,
			  struct stream_hub_stats *out);
