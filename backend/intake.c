#include "backend/intake.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "payload/sign.h"

/* Of the loop until it waits, of the thread until it is read, then of the loop
 * again; done and handle are the loop's throughout. */
struct intake_job {
	TAILQ_ENTRY(intake_job) link;
	struct intake *intake;
	bool waits; /* in intake.waiting; under its lock */
	bool frames;
	struct job_submission_limits limits;
	struct buf body;
	size_t bytes; /* of the body, which is gone once it is read */
	struct job_submission submission;
	struct buf why;
	int r;
	intake_fn done; /* NULL: cancelled */
	void *ctx;
	struct intake_job **handle;
};
TAILQ_HEAD(intake_jobs, intake_job);

struct intake {
	const struct payload_signer *signer;
	struct event *completion;
	int completion_fd; /* eventfd */
	size_t bytes;      /* of all jobs; the loop's */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct intake_jobs waiting, read; /* under lock, as is: */
	bool closing;
};

/* --- reading: in either thread -------------------------------------------- */

static void intake_read(struct intake_job *job)
{
	struct job_submission *s = &job->submission;

	job->r = job->frames
			 ? job_submission_parse_frames(s, job->body.data,
						       job->body.len,
						       &job->limits, &job->why)
			 : job_submission_parse_json(s, job->body.data,
						     job->body.len,
						     &job->limits, &job->why);
	buf_deinit_secret(&job->body);
	if (!job->r)
		job->r = payload_sign(job->intake->signer, s->script.data,
				      s->script.len, &s->signature);
	if (!buf_cstr(job->r ? &job->why : &s->signature))
		job->r = -ENOMEM;
}

static void intake_job_free(struct intake_job *job)
{
	job_submission_deinit(&job->submission);
	buf_deinit_secret(&job->body);
	buf_deinit(&job->why);
	free(job);
}

static void intake_finish(struct intake_job *job)
{
	job->intake->bytes -= job->bytes;
	if (job->done) {
		*job->handle = NULL;
		job->done(job->ctx, job->r, &job->submission,
			  job->r > 0 ? buf_cstr(&job->why) : "");
	}
	intake_job_free(job);
}

/* --- the thread ----------------------------------------------------------- */

/* Waits for one; NULL when there is to be no more. */
static struct intake_job *intake_take(struct intake *in)
{
	struct intake_job *job = NULL;

	pthread_mutex_lock(&in->lock);
	while (!in->closing && TAILQ_EMPTY(&in->waiting))
		pthread_cond_wait(&in->wake, &in->lock);
	if (!in->closing) {
		job = TAILQ_FIRST(&in->waiting);
		TAILQ_REMOVE(&in->waiting, job, link);
		job->waits = false;
	}
	pthread_mutex_unlock(&in->lock);
	return job;
}

static void *intake_main(void *arg)
{
	struct intake *in = arg;
	struct intake_job *job;

	while ((job = intake_take(in))) {
		intake_read(job);
		pthread_mutex_lock(&in->lock);
		TAILQ_INSERT_TAIL(&in->read, job, link);
		pthread_mutex_unlock(&in->lock);
		/* Fails only when the counter is full: the loop is awake. */
		eventfd_write(in->completion_fd, 1);
	}
	return NULL;
}

static struct intake_job *intake_take_read(struct intake *in)
{
	struct intake_job *job;

	pthread_mutex_lock(&in->lock);
	job = TAILQ_FIRST(&in->read);
	if (job)
		TAILQ_REMOVE(&in->read, job, link);
	pthread_mutex_unlock(&in->lock);
	return job;
}

static void intake_on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct intake_job *job;
	eventfd_t count;

	eventfd_read(fd, &count);
	while ((job = intake_take_read(ctx)))
		intake_finish(job);
}

/* Signals belong to the loop's thread. */
static int intake_start_thread(struct intake *in)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&in->thread, NULL, intake_main, in);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	in->running = r == 0;
	return r;
}

/* --- the loop ------------------------------------------------------------- */

static bool intake_is_full(const struct intake *in, size_t len)
{
	return in->bytes && in->bytes + len > INTAKE_WAITING_MAX_BYTES;
}

static void intake_queue(struct intake *in, struct intake_job *job)
{
	*job->handle = job;
	pthread_mutex_lock(&in->lock);
	TAILQ_INSERT_TAIL(&in->waiting, job, link);
	job->waits = true;
	pthread_cond_signal(&in->wake);
	pthread_mutex_unlock(&in->lock);
}

int intake_start(struct intake *in, struct buf *body, bool frames,
		 const struct job_submission_limits *limits, intake_fn done,
		 void *ctx, struct intake_job **handle)
{
	bool full = intake_is_full(in, body->len);
	struct intake_job *job = full ? NULL : calloc(1, sizeof(*job));

	if (!job) {
		buf_deinit_secret(body);
		return full ? -EAGAIN : -ENOMEM;
	}
	job->intake = in;
	job->frames = frames;
	job->limits = *limits;
	job->body = *body;
	job->bytes = body->len;
	*body = (struct buf){ 0 };
	job->done = done;
	job->ctx = ctx;
	job->handle = handle;
	in->bytes += job->bytes;
	if (job->bytes > INTAKE_AT_ONCE_BYTES) {
		intake_queue(in, job);
		return 0;
	}
	intake_read(job);
	intake_finish(job);
	return 0;
}

void intake_cancel(struct intake_job *job)
{
	struct intake *in;
	bool waits;

	if (!job)
		return;
	in = job->intake;
	*job->handle = NULL;
	job->done = NULL;
	pthread_mutex_lock(&in->lock);
	waits = job->waits;
	if (waits)
		TAILQ_REMOVE(&in->waiting, job, link);
	pthread_mutex_unlock(&in->lock);
	if (waits)
		intake_finish(job);
}

/* --- life ----------------------------------------------------------------- */

int intake_new(struct intake **out, struct event_base *base,
	       const struct payload_signer *signer)
{
	struct intake *in = calloc(1, sizeof(*in));
	int r = 0;

	if (!in)
		return -ENOMEM;
	in->signer = signer;
	TAILQ_INIT(&in->waiting);
	TAILQ_INIT(&in->read);
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->wake, NULL);
	in->completion_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->completion_fd < 0)
		r = -errno;
	if (!r)
		in->completion = event_new(base, in->completion_fd,
					   EV_READ | EV_PERSIST, intake_on_read,
					   in);
	if (!r && (!in->completion || event_add(in->completion, NULL) < 0))
		r = -ENOMEM;
	if (!r)
		r = intake_start_thread(in);
	if (r) {
		intake_free(in);
		return r;
	}
	*out = in;
	return 0;
}

static void intake_free_all(struct intake_jobs *jobs)
{
	struct intake_job *job;

	while ((job = TAILQ_FIRST(jobs))) {
		TAILQ_REMOVE(jobs, job, link);
		intake_job_free(job);
	}
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	if (in->running) {
		pthread_mutex_lock(&in->lock);
		in->closing = true;
		pthread_cond_signal(&in->wake);
		pthread_mutex_unlock(&in->lock);
		pthread_join(in->thread, NULL);
	}
	intake_free_all(&in->waiting);
	intake_free_all(&in->read);
	if (in->completion)
		event_free(in->completion);
	if (in->completion_fd >= 0)
		close(in->completion_fd);
	pthread_mutex_destroy(&in->lock);
	pthread_cond_destroy(&in->wake);
	free(in);
}
