#include "backend-client/resolve.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

/* What the thread and the loop share; the last one out frees it. */
struct resolve_job {
	atomic_int refs;
	char *host;
	char port[8];
	int error;
	struct addrinfo *list;
	int done_fd; /* eventfd, written when error and list are set */
};

struct resolve {
	struct resolve_job *job;
	struct event ev;
	resolve_done_fn done;
	void *ctx;
};

static void resolve_job_unref(struct resolve_job *job)
{
	if (atomic_fetch_sub(&job->refs, 1) > 1)
		return;
	if (job->list)
		freeaddrinfo(job->list);
	if (job->done_fd >= 0)
		close(job->done_fd);
	free(job->host);
	free(job);
}

static void resolve_job_run(struct resolve_job *job, int flags)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	job->error = getaddrinfo(job->host, job->port, &hints, &job->list);
	if (job->error)
		job->list = NULL;
}

static void *resolve_thread(void *arg)
{
	struct resolve_job *job = arg;

	resolve_job_run(job, AI_ADDRCONFIG);
	eventfd_write(job->done_fd, 1);
	resolve_job_unref(job);
	return NULL;
}

static int resolve_spawn(struct resolve_job *job)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	atomic_fetch_add(&job->refs, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, resolve_thread, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r)
		resolve_job_unref(job);
	return -r;
}

static void resolve_on_done(evutil_socket_t fd, short what, void *arg)
{
	struct resolve *r = arg;
	struct addrinfo *list = r->job->list;

	r->job->list = NULL;
	r->done(r->ctx, r->job->error, list);
}

static struct resolve_job *resolve_job_new(const char *host, uint16_t port)
{
	struct resolve_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	atomic_init(&job->refs, 1);
	snprintf(job->port, sizeof(job->port), "%u", port);
	job->host = strdup(host);
	job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->host && job->done_fd >= 0)
		return job;
	resolve_job_unref(job);
	return NULL;
}

int resolve_start(struct resolve **out, struct event_base *base,
		  const char *host, uint16_t port, resolve_done_fn done,
		  void *ctx)
{
	struct resolve *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->done = done;
	r->ctx = ctx;
	r->job = resolve_job_new(host, port);
	if (!r->job) {
		free(r);
		return -ENOMEM;
	}
	event_assign(&r->ev, base, r->job->done_fd, EV_READ, resolve_on_done,
		     r);
	event_add(&r->ev, NULL);
	resolve_job_run(r->job, AI_NUMERICHOST);
	if (r->job->error == EAI_NONAME)
		err = resolve_spawn(r->job);
	else
		err = eventfd_write(r->job->done_fd, 1);
	if (err < 0) {
		resolve_free(r);
		return err;
	}
	*out = r;
	return 0;
}

void resolve_free(struct resolve *r)
{
	if (!r)
		return;
	event_del(&r->ev);
	resolve_job_unref(r->job);
	free(r);
}
