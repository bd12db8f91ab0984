#include "orchestrator/wal_thread.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "orchestrator/wal_retain.h"

#define THREAD_TELL_TRIES 100

struct wal_thread {
	void (*on_done)(int r, void *ctx);
	void *ctx;
	struct event *done;
	int done_fd; /* an eventfd: a job is done */
	bool busy;   /* the loop's view */

	pthread_t thread;
	bool running;
	pthread_mutex_t mutex; /* over what follows */
	pthread_cond_t wake;
	struct wal_job job;
	bool has_job, stop;
	int result;
};

/* --- the work ------------------------------------------------------------- */

static int thread_sync(int fd)
{
	if (fd < 0)
		return 0;
	return fdatasync(fd) < 0 ? -errno : 0;
}

int wal_job_run(const struct wal_job *job)
{
	int r = thread_sync(job->old_fd);

	if (!r)
		r = thread_sync(job->fd);
	if (!r && job->dir && fsync(job->dir_fd) < 0)
		r = -errno;
	/* That old segments are kept too long is no failure of this. */
	if (!r && job->retain)
		wal_retain(job->dir_fd, &job->keep);
	return r;
}

/* Once more where it was not taken: nobody else wakes the loop. */
static void thread_tell(const struct wal_thread *t)
{
	const uint64_t one = 1;
	int tries = THREAD_TELL_TRIES;

	while (write(t->done_fd, &one, sizeof(one)) < 0 && --tries)
		continue;
}

static void *thread_main(void *arg)
{
	struct wal_thread *t = arg;

	pthread_mutex_lock(&t->mutex);
	for (;;) {
		struct wal_job job;
		int r;

		while (!t->has_job && !t->stop)
			pthread_cond_wait(&t->wake, &t->mutex);
		if (!t->has_job)
			break;
		job = t->job;
		t->has_job = false;
		pthread_mutex_unlock(&t->mutex);
		r = wal_job_run(&job);
		pthread_mutex_lock(&t->mutex);
		t->result = r;
		thread_tell(t);
	}
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

/* --- in the loop ---------------------------------------------------------- */

static void thread_on_done(int fd, short what, void *ctx)
{
	struct wal_thread *t = ctx;
	uint64_t count;
	int r;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&t->mutex);
	r = t->result;
	pthread_mutex_unlock(&t->mutex);
	t->busy = false;
	t->on_done(r, t->ctx);
}

/* Signals are the loop's. */
static int thread_start(struct wal_thread *t)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t->running = !r;
	return -r;
}

static int thread_set_up(struct wal_thread *t, struct event_base *base)
{
	t->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->done_fd < 0)
		return -errno;
	t->done = event_new(base, t->done_fd, EV_READ | EV_PERSIST,
			    thread_on_done, t);
	if (!t->done || event_add(t->done, NULL) < 0)
		return -ENOMEM;
	return thread_start(t);
}

int wal_thread_new(struct wal_thread **out, struct event_base *base,
		   void (*on_done)(int r, void *ctx), void *ctx)
{
	struct wal_thread *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->on_done = on_done;
	t->ctx = ctx;
	t->done_fd = -1;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->wake, NULL);
	r = thread_set_up(t, base);
	if (r < 0) {
		wal_thread_free(t);
		return r;
	}
	*out = t;
	return 0;
}

int wal_thread_finish(struct wal_thread *t)
{
	int r;

	if (!t->running)
		return 0;
	pthread_mutex_lock(&t->mutex);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mutex);
	pthread_join(t->thread, NULL);
	t->running = false;
	r = t->busy ? t->result : 0;
	t->busy = false;
	return r;
}

void wal_thread_free(struct wal_thread *t)
{
	if (!t)
		return;
	if (wal_thread_finish(t) < 0)
		t->result = 0; /* nobody is left to be told */
	if (t->done)
		event_free(t->done);
	if (t->done_fd >= 0)
		close(t->done_fd);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

void wal_thread_start(struct wal_thread *t, const struct wal_job *job)
{
	pthread_mutex_lock(&t->mutex);
	t->job = *job;
	t->has_job = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->mutex);
	t->busy = true;
}

bool wal_thread_busy(const struct wal_thread *t)
{
	return t->busy;
}
