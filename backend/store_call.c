#include "backend/store_call.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

static void store_call_free(struct store_call *call)
{
	arena_deinit(&call->arena, store_op_is_secret(call->op));
	free(call);
}

int store_call_start(struct store *s, enum store_op op, const void *request,
		     struct store_done done)
{
	struct store_call *call;

	if (s->n_calls >= STORE_QUEUE_MAX_CALLS ||
	    s->bytes >= STORE_QUEUE_MAX_BYTES)
		return -EAGAIN;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->store = s;
	call->op = op;
	call->done = done;
	store_call_copy_request(call, request);
	if (call->arena.failed) {
		store_call_free(call);
		return -ENOMEM;
	}
	if (done.owner)
		LIST_INSERT_HEAD(&done.owner->calls, call, owned);
	s->calls_total++;
	s->n_calls++;
	s->bytes += call->bytes;
	s->ops->start(s, call);
	return 0;
}

int store_call_fail(struct store_call *call, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call->result.message = arena_vprintf(&call->arena, fmt, ap);
	va_end(ap);
	return r;
}

void store_call_finish(struct store *s, struct store_calls *calls)
{
	pthread_mutex_lock(&s->lock);
	STAILQ_CONCAT(&s->finished, calls);
	pthread_mutex_unlock(&s->lock);
	/* Fails only when the counter is full: the loop is awake then. */
	eventfd_write(s->completion_fd, 1);
}

static void store_call_disown(struct store_call *call)
{
	if (call->done.owner)
		LIST_REMOVE(call, owned);
	call->done.owner = NULL;
}

void store_owner_cancel(struct store_owner *owner)
{
	struct store_call *call;

	while ((call = LIST_FIRST(&owner->calls))) {
		store_call_disown(call);
		call->done.fn = NULL;
		atomic_store_explicit(&call->cancelled, true,
				      memory_order_relaxed);
	}
}

static void store_take_finished(struct store *s, struct store_calls *calls)
{
	STAILQ_INIT(calls);
	pthread_mutex_lock(&s->lock);
	STAILQ_CONCAT(calls, &s->finished);
	pthread_mutex_unlock(&s->lock);
}

static void store_call_complete(struct store *s, struct store_call *call)
{
	s->n_calls--;
	s->bytes -= call->bytes;
	store_call_disown(call);
	if (call->done.fn)
		call->done.fn(call->r, &call->result, call->done.ctx);
	store_call_free(call);
}

static void on_completion(evutil_socket_t fd, short what, void *ctx)
{
	struct store *s = ctx;
	struct store_calls calls;
	struct store_call *call;
	eventfd_t count;

	eventfd_read(fd, &count);
	store_take_finished(s, &calls);
	while ((call = STAILQ_FIRST(&calls))) {
		STAILQ_REMOVE_HEAD(&calls, queued);
		store_call_complete(s, call);
	}
}

/* ------------------------------------------------------- the common store */

int store_init(struct store *s, const struct store_ops *ops,
	       struct event_base *base)
{
	s->ops = ops;
	id_new("be", s->instance);
	STAILQ_INIT(&s->finished);
	pthread_mutex_init(&s->lock, NULL);
	s->completion_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->completion_fd < 0)
		return -errno;
	s->completion = event_new(base, s->completion_fd, EV_READ | EV_PERSIST,
				  on_completion, s);
	if (!s->completion || event_add(s->completion, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void store_deinit(struct store *s)
{
	struct store_calls calls;
	struct store_call *call;

	store_take_finished(s, &calls);
	while ((call = STAILQ_FIRST(&calls))) {
		STAILQ_REMOVE_HEAD(&calls, queued);
		store_call_disown(call);
		store_call_free(call);
	}
	if (s->completion)
		event_free(s->completion);
	if (s->completion_fd >= 0)
		close(s->completion_fd);
	pthread_mutex_destroy(&s->lock);
}

void store_get_place(struct store *s, struct store_place *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->place;
	pthread_mutex_unlock(&s->lock);
}

void store_set_place(struct store *s, const struct store_place *place)
{
	pthread_mutex_lock(&s->lock);
	s->place = *place;
	pthread_mutex_unlock(&s->lock);
}
