#include "orchestrator/wal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fail_point.h"
#include "common/log.h"
#include "common/wal/dir.h"
#include "orchestrator/wal_impl.h"

/* A backlog that the disk has caught up with. */
#define WAL_BACKLOG_LOW_BYTES (WAL_BACKLOG_MAX_BYTES / 2)
#define WAL_DAY_MS (24LL * 60 * 60 * 1000)

static void wal_add_timer(struct event *e, uint64_t ms)
{
	const struct timeval t = clock_timeval(ms);

	if (!event_pending(e, EV_TIMEOUT, NULL))
		event_add(e, &t);
}

/* --- problems ------------------------------------------------------------- */

static const char *wal_what_next(int r)
{
	if (r == -ENOSPC || r == -EDQUOT)
		return "make room on that disk";
	if (r == -EROFS)
		return "mount it for writing";
	return "look after that disk";
}

static void wal_set_problem(struct wal *w, const char *what, int r)
{
	char name[WAL_SEGMENT_NAME_BYTES];

	w->problem_new |= !*w->problem;
	wal_segment_name(w->first, name);
	snprintf(w->problem, sizeof(w->problem),
		 "cannot %s the log %s/%s: %s; %zu KiB of records wait in "
		 "memory, and no job is taken; %s",
		 what, w->dir, name,
		 r == -ENOBUFS ? "the disk is too slow" : strerror(-r),
		 w->pending.len / 1024, wal_what_next(r));
	if (w->problem_new)
		log_error(NULL, "%s", w->problem);
}

static void wal_clear_problem(struct wal *w)
{
	if (!*w->problem || w->stalled ||
	    w->pending.len > WAL_BACKLOG_LOW_BYTES)
		return;
	*w->problem = '\0';
	w->problem_new = true;
	log_info(NULL, "the log %s is written again", w->dir);
}

/* Nothing is tried before the next retry. */
static void wal_stall(struct wal *w, const char *what, int r)
{
	wal_set_problem(w, what, r);
	w->stalled = true;
	wal_add_timer(w->retry, w->config.retry_ms);
}

static void wal_tell_problem(struct wal *w)
{
	if (!w->problem_new)
		return;
	w->problem_new = false;
	if (w->config.on_problem)
		w->config.on_problem(w->config.ctx);
}

/* --- sync ----------------------------------------------------------------- */

static void wal_fill_job(struct wal *w)
{
	w->job = (struct wal_job){
		.old_fd = w->old_fd,
		.fd = w->fd,
		.dir_fd = w->dir_fd,
		.dir = w->dir_due,
		.retain = w->retain_due,
		.keep = { .bytes = w->config.keep_bytes,
			  .since_ms = clock_wall_ms() -
				      (int64_t)w->config.keep_days * WAL_DAY_MS,
			  .needed = w->needed },
	};
	w->job_bytes = w->bytes;
	w->syncing = w->written;
	w->dir_due = w->retain_due = false;
}

static void wal_start_sync(struct wal *w)
{
	if (wal_thread_busy(w->thread) || w->abandoned ||
	    (!w->written.bytes && !w->dir_due && !w->retain_due))
		return;
	event_del(w->sync_timer);
	wal_fill_job(w);
	wal_thread_start(w->thread, &w->job);
}

/* At once where somebody waits, else for many records together. */
static void wal_plan_sync(struct wal *w)
{
	if (!TAILQ_EMPTY(&w->waiters))
		wal_start_sync(w);
	else if (w->written.bytes || w->retain_due)
		wal_add_timer(w->sync_timer, WAL_SYNC_MS);
}

static void wal_shift(struct wal_mark *mark, size_t bytes)
{
	mark->bytes -= MIN(bytes, mark->bytes);
}

/* What the job has synced is on disk. */
static void wal_forget_synced(struct wal *w)
{
	size_t bytes = w->syncing.bytes;

	if (w->job.old_fd >= 0) {
		close(w->job.old_fd);
		w->old_fd = -1;
	}
	if (w->job.fd == w->fd)
		w->synced_bytes = w->job_bytes;
	else
		w->old_synced_bytes = w->job_bytes;
	buf_consume(&w->pending, bytes);
	wal_shift(&w->end, bytes);
	wal_shift(&w->written, bytes);
	wal_shift(&w->rotate, bytes);
	w->synced = w->syncing;
	w->synced.bytes = 0;
}

static void wal_tell_waiters(struct wal *w, uint64_t count, int r)
{
	struct wal_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&w->waiters)) && waiter->count <= count) {
		const struct wal_waiter told = *waiter;

		TAILQ_REMOVE(&w->waiters, waiter, entry);
		free(waiter);
		told.done(r, told.ctx);
	}
}

static void wal_turn(struct wal *w)
{
	int r = w->stalled ? 0 : wal_write_pending(w);

	if (r < 0) {
		wal_stall(w, "write", r);
		/* Old segments may make room. */
		w->retain_due = true;
	}
	wal_plan_sync(w);
	wal_tell_problem(w);
	wal_tell_waiters(w, w->synced.count, 0);
}

static void wal_on_synced(int r, void *ctx)
{
	struct wal *w = ctx;

	if (!r)
		r = FAIL_POINT_ERROR("wal.sync");
	if (r < 0) {
		w->dir_due |= w->job.dir;
		w->abandoned = true;
		wal_stall(w, "sync", r);
	} else {
		wal_forget_synced(w);
		wal_clear_problem(w);
	}
	wal_turn(w);
}

/* --- events --------------------------------------------------------------- */

static void wal_on_turn(int fd, short what, void *ctx)
{
	wal_turn(ctx);
}

static void wal_on_sync_timer(int fd, short what, void *ctx)
{
	wal_start_sync(ctx);
}

static void wal_on_retry(int fd, short what, void *ctx)
{
	struct wal *w = ctx;

	w->stalled = false;
	wal_turn(w);
	if (!w->stalled)
		wal_start_sync(w);
}

static void wal_on_retain_timer(int fd, short what, void *ctx)
{
	struct wal *w = ctx;

	w->retain_due = true;
	wal_start_sync(w);
}

static int wal_set_up_events(struct wal *w)
{
	const struct timeval hour = clock_timeval(WAL_RETAIN_MS);
	struct event_base *base = w->config.base;

	w->turn = evtimer_new(base, wal_on_turn, w);
	w->sync_timer = evtimer_new(base, wal_on_sync_timer, w);
	w->retry = evtimer_new(base, wal_on_retry, w);
	w->retain_timer = event_new(base, -1, EV_PERSIST, wal_on_retain_timer,
				    w);
	if (!w->turn || !w->sync_timer || !w->retry || !w->retain_timer ||
	    event_add(w->retain_timer, &hour) < 0)
		return -ENOMEM;
	return wal_thread_new(&w->thread, base, wal_on_synced, w);
}

static void wal_free_events(struct wal *w)
{
	struct event **const events[] = { &w->turn, &w->sync_timer, &w->retry,
					  &w->retain_timer };

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
}

/* --- open and close ------------------------------------------------------- */

static void wal_free(struct wal *w)
{
	const int fds[] = { w->fd, w->old_fd, w->lock_fd, w->dir_fd };

	wal_thread_free(w->thread);
	wal_free_events(w);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	buf_deinit(&w->pending);
	free(w);
}

static struct wal *wal_new(const struct wal_config *config)
{
	struct wal *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	if (!w->config.segment_bytes)
		w->config.segment_bytes = WAL_SEGMENT_BYTES;
	if (!w->config.keep_bytes)
		w->config.keep_bytes = WAL_KEEP_BYTES;
	if (!w->config.keep_days)
		w->config.keep_days = WAL_KEEP_DAYS;
	if (!w->config.retry_ms)
		w->config.retry_ms = WAL_RETRY_MS;
	snprintf(w->instance, sizeof(w->instance), "%s", config->instance);
	w->dir_fd = w->lock_fd = w->fd = w->old_fd = -1;
	TAILQ_INIT(&w->waiters);
	return w;
}

/* The first record of this process is also the proof that it can write. */
static int wal_begin(struct wal *w, char *err, size_t err_size)
{
	json_t *data = json_pack("{s:s, s:i}", "version", CRONIUM_VERSION,
				 "pid", (int)getpid());
	int r = data ? wal_write_add(w, WAL_OPENED, NULL, NULL, data) : -ENOMEM;

	json_decref(data);
	if (!r)
		r = wal_write_pending(w);
	if (!r)
		r = wal_set_up_events(w);
	if (r < 0) {
		snprintf(err, err_size,
			 "cannot write the log in %s: %s; make room there, or "
			 "give another --data-dir",
			 w->dir, strerror(-r));
		return r;
	}
	w->retain_due = true;
	event_active(w->turn, EV_TIMEOUT, 0);
	return 0;
}

int wal_open(struct wal **out, const struct wal_config *config, char *err,
	     size_t err_size)
{
	struct wal *w = wal_new(config);
	int r;

	snprintf(err, err_size, "out of memory");
	if (!w)
		return -ENOMEM;
	r = wal_start(w, err, err_size);
	if (!r)
		r = wal_begin(w, err, err_size);
	if (r < 0) {
		wal_free(w);
		return r;
	}
	*out = w;
	return 0;
}

/* What can still be brought to disk is. */
static int wal_finish(struct wal *w)
{
	/* The thread's last word: an error that is told only once. */
	int r = wal_thread_finish(w->thread);

	if (r < 0)
		w->abandoned = true;
	r = wal_append(w, WAL_CLOSED, NULL, NULL, NULL) < 0 ? -ENOBUFS : 0;
	if (!r)
		r = wal_write_pending(w);
	if (!r) {
		wal_fill_job(w);
		r = wal_job_run(&w->job);
	}
	if (!r)
		w->synced = w->syncing;
	else
		log_error(NULL, "the end of the log in %s is not on disk: %s",
			  w->dir, strerror(-r));
	return r;
}

void wal_close(struct wal *w)
{
	if (!w)
		return;
	if (!wal_finish(w))
		wal_tell_waiters(w, w->synced.count, 0);
	wal_tell_waiters(w, UINT64_MAX, -ECANCELED);
	wal_free(w);
}

/* --- records -------------------------------------------------------------- */

/* Whether the segment has become long enough for another one to begin. One
 * follows the other: the one before is synced first. */
static bool wal_rotation_due(const struct wal *w)
{
	uint64_t bytes = w->bytes + w->end.bytes - w->written.bytes;

	return !w->rotating && !w->abandoned && w->old_fd < 0 &&
	       bytes >= w->config.segment_bytes;
}

int64_t wal_append(struct wal *w, enum wal_type type, const char *job,
		   const char *execution, const json_t *data)
{
	int r = 0;

	if (w->pending.len > WAL_BACKLOG_MAX_BYTES) {
		if (!*w->problem)
			wal_set_problem(w, "keep up with", -ENOBUFS);
		r = -ENOBUFS;
	} else if (wal_rotation_due(w)) {
		r = wal_write_rotate(w);
	}
	if (!r)
		r = wal_write_add(w, type, job, execution, data);
	event_active(w->turn, EV_TIMEOUT, 0);
	return r < 0 ? r : (int64_t)w->end.seq;
}

int wal_write_now(struct wal *w)
{
	int r = wal_write_pending(w);

	if (r < 0)
		wal_stall(w, "write", r);
	event_active(w->turn, EV_TIMEOUT, 0);
	return r;
}

int wal_sync(struct wal *w, void (*done)(int r, void *ctx), void *ctx)
{
	struct wal_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return -ENOMEM;
	waiter->count = w->end.count;
	waiter->done = done;
	waiter->ctx = ctx;
	TAILQ_INSERT_TAIL(&w->waiters, waiter, entry);
	event_active(w->turn, EV_TIMEOUT, 0);
	return 0;
}

void wal_sync_forget(struct wal *w, const void *ctx)
{
	struct wal_waiter *waiter = TAILQ_FIRST(&w->waiters);

	while (waiter) {
		struct wal_waiter *next = TAILQ_NEXT(waiter, entry);

		if (waiter->ctx == ctx) {
			TAILQ_REMOVE(&w->waiters, waiter, entry);
			free(waiter);
		}
		waiter = next;
	}
}

uint64_t wal_seq(const struct wal *w)
{
	return w->end.seq;
}

uint64_t wal_synced_seq(const struct wal *w)
{
	return w->synced.seq;
}

void wal_needed(struct wal *w, uint64_t seq)
{
	w->needed = seq;
}

const char *wal_problem(const struct wal *w)
{
	return *w->problem ? w->problem : NULL;
}
