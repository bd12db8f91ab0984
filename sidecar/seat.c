#include "sidecar/seat.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "sidecar/assignment.h"
#include "sidecar/auth.h"
#include "sidecar/control.h"
#include "sidecar/execution.h"
#include "sidecar/stream_write.h"
#include "sidecar/watch.h"

struct seat {
	enum seat_state state;
	struct seat_config config;
	struct control *control;
	struct metrics metrics;
	/* ASSIGN came, INPUT did not yet. */
	struct assignment pending;
	struct execution *execution;
	struct event *end; /* of draining, then of lingering */
	bool drained;
	bool dismissible; /* it waits for DISMISS once it is drained */
	bool failed;
};

/* --- states --------------------------------------------------------------- */

static const char *who(const struct seat *s)
{
	return s->execution ? s->execution->assignment.execution : "-";
}

#define seat_log(s, level, ...)                                            \
	log_write(level, who(s),                                           \
		  (s)->execution ? execution_trace((s)->execution) : NULL, \
		  __VA_ARGS__)

static UNUSED bool may_follow(enum seat_state from, enum seat_state to)
{
	switch (from) {
	case SEAT_READY:
		return to == SEAT_ASSIGNED || to == SEAT_DRAINING;
	case SEAT_ASSIGNED:
		return to == SEAT_DRAINING;
	case SEAT_DRAINING:
		return to == SEAT_GONE;
	case SEAT_GONE:
		return false;
	}
	return false;
}

static void set_state(struct seat *s, enum seat_state state)
{
	assert(may_follow(s->state, state));
	s->state = state;
	seat_log(s, LOG_LEVEL_DEBUG, "now %s", seat_state_name(state));
}

enum seat_state seat_state(const struct seat *s)
{
	return s->state;
}

const char *seat_state_name(enum seat_state state)
{
	static const char *const names[] = {
		[SEAT_READY] = "ready",
		[SEAT_ASSIGNED] = "assigned",
		[SEAT_DRAINING] = "draining",
		[SEAT_GONE] = "gone",
	};

	return names[state];
}

bool seat_is_kept(const struct seat *s)
{
	return control_is_kept(s->control);
}

struct execution *seat_execution(const struct seat *s)
{
	return s->execution;
}

struct metrics *seat_metrics(struct seat *s)
{
	return &s->metrics;
}

/* --- the end -------------------------------------------------------------- */

static void set_end(struct seat *s, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(s->end, &tv);
}

static void leave(struct seat *s)
{
	event_del(s->end);
	set_state(s, SEAT_GONE);
	s->config.ops->on_gone(s, s->failed, s->config.ctx);
}

static void log_stats(const struct seat *s)
{
	const struct metrics *m = &s->metrics;

	seat_log(s, LOG_LEVEL_INFO,
		 "drained: %" PRIu64 " requests, %" PRIu64
		 " errors, cache %" PRIu64 " hits %" PRIu64 " misses %" PRIu64
		 " stale, %u "
		 "writes cut off",
		 metrics_requests(m), metrics_errors(m), m->cache[METRICS_HIT],
		 m->cache[METRICS_MISS], m->cache[METRICS_STALE],
		 s->execution ? s->execution->writes : 0);
}

static int say_drained(const struct seat *s)
{
	_cleanup_(buf_deinit) struct buf stats = { 0 };
	int r = metrics_append_stats(&s->metrics, &stats);

	return r ? r : control_drained(s->control, stats.data, stats.len);
}

/* The writes have ended, or took too long. */
static void finish_drain(struct seat *s)
{
	if (s->drained)
		return;
	s->drained = true;
	log_stats(s);
	if (say_drained(s) < 0)
		leave(s);
	else if (s->dismissible)
		event_del(s->end);
	else
		/* The orchestrator closes the stream once it has it. */
		set_end(s, SEAT_LINGER_MS);
}

static void on_writes_done(void *ctx)
{
	struct seat *s = ctx;

	if (s->state == SEAT_DRAINING)
		finish_drain(s);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct seat *s = arg;

	if (s->state != SEAT_DRAINING)
		return;
	if (s->drained)
		leave(s);
	else
		finish_drain(s);
}

static void begin_drain(struct seat *s, const char *why)
{
	seat_log(s, LOG_LEVEL_INFO, "drains: %s", why);
	set_state(s, SEAT_DRAINING);
	if (s->execution) {
		stream_write_drain_all(s->execution);
		watch_end_all(s->execution);
	}
	if (s->execution && s->execution->writes)
		set_end(s, SEAT_DRAIN_MS);
	else
		finish_drain(s);
}

void seat_drain(struct seat *s, const char *why)
{
	bool waits = s->dismissible && s->drained;

	s->dismissible = false;
	if (s->state < SEAT_DRAINING)
		begin_drain(s, why);
	else if (s->state == SEAT_DRAINING && waits)
		set_end(s, 0);
}

/* --- the orchestrator ----------------------------------------------------- */

static void fail(struct seat *s, const char *what, const char *why)
{
	seat_log(s, LOG_LEVEL_ERROR, "%s: %s", what, why);
	s->failed = true;
	seat_drain(s, what);
}

static void on_assign(const void *json, size_t len, void *ctx)
{
	struct seat *s = ctx;
	char err[256] = "out of memory";

	if (s->state != SEAT_READY || s->pending.execution) {
		fail(s, "assignment refused", "there was one before");
		return;
	}
	if (assignment_parse(&s->pending, json, len, err, sizeof(err)) < 0)
		fail(s, "assignment refused", err);
}

static int assign(struct seat *s, const void *input, size_t len, char *err,
		  size_t err_size)
{
	int r = buf_append(&s->pending.input, input, len);

	s->pending.rate[RATE_REQUESTS] = s->config.rate_requests;

	if (!r)
		r = execution_new(&s->execution, s->config.base, &s->pending,
				  s->config.backend, s->control, &s->metrics,
				  err, err_size);
	if (!r)
		r = control_keep(s->control, s->execution->assignment.keep_ms,
				 s->execution->assignment.execution,
				 s->execution->assignment.backend_token);
	return r ? r : control_assigned(s->control);
}

static void on_input(const void *data, size_t len, void *ctx)
{
	struct seat *s = ctx;
	char err[256] = "out of memory";

	if (s->state != SEAT_READY || !s->pending.execution)
		return;
	if (assign(s, data, len, err, sizeof(err)) < 0) {
		fail(s, "assignment refused", err);
		return;
	}
	s->execution->on_writes_done = on_writes_done;
	s->execution->ctx = s;
	set_state(s, SEAT_ASSIGNED);
	seat_log(s, LOG_LEVEL_INFO, "assigned, job %s",
		 s->execution->assignment.job);
	s->config.ops->on_assigned(s, s->config.ctx);
}

static void on_revoke(const char *jti, void *ctx)
{
	struct seat *s = ctx;

	if (!s->execution || s->state == SEAT_GONE)
		return;
	seat_log(s, LOG_LEVEL_INFO, "token %s is revoked", jti);
	if (auth_revoke(s->execution->auth, jti) < 0)
		fail(s, "too many revoked tokens", jti);
}

static void on_drain(void *ctx)
{
	struct seat *s = ctx;

	if (s->state < SEAT_DRAINING) {
		s->dismissible = seat_is_kept(s);
		begin_drain(s, "the orchestrator asks for it");
	} else if (s->state == SEAT_DRAINING && s->drained &&
		   say_drained(s) < 0) {
		seat_drain(s, "nobody can be told that it is drained");
	}
}

static void on_dismiss(void *ctx)
{
	struct seat *s = ctx;

	if (s->state == SEAT_GONE)
		return;
	seat_log(s, LOG_LEVEL_INFO, "dismissed");
	if (s->state < SEAT_DRAINING)
		set_state(s, SEAT_DRAINING);
	leave(s);
}

static void on_lost(const char *reason, void *ctx)
{
	struct seat *s = ctx;

	if (s->state == SEAT_GONE)
		return;
	if (s->state == SEAT_DRAINING && s->drained) {
		leave(s);
		return;
	}
	seat_log(s, LOG_LEVEL_WARN, "control stream lost: %s", reason);
	s->failed = true;
	seat_drain(s, "nobody is in charge of this job any more");
	if (s->state != SEAT_GONE && s->config.ops->on_lost)
		s->config.ops->on_lost(s, s->config.ctx);
}

static const struct control_ops control_ops = {
	.on_assign = on_assign,
	.on_input = on_input,
	.on_revoke = on_revoke,
	.on_drain = on_drain,
	.on_dismiss = on_dismiss,
	.on_lost = on_lost,
};

/* --- life ----------------------------------------------------------------- */

static struct seat *create(const struct seat_config *config)
{
	struct seat *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	s->config.ready = NULL;
	s->end = evtimer_new(config->base, on_end, s);
	if (s->end)
		return s;
	seat_free(s);
	return NULL;
}

int seat_new(struct seat **out, const struct seat_config *config,
	     const char *control)
{
	struct seat *s = create(config);
	int r;

	if (!s)
		return -ENOMEM;
	r = control_new(&s->control, config->base, control, config->again,
			config->ready, &control_ops, s);
	if (r < 0)
		seat_free(s);
	else
		*out = s;
	return r;
}

int seat_new_fd(struct seat **out, const struct seat_config *config, int fd)
{
	struct seat *s = create(config);
	int r;

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	r = control_new_fd(&s->control, config->base, fd, config->ready,
			   &control_ops, s);
	if (r < 0)
		seat_free(s);
	else
		*out = s;
	return r;
}

void seat_free(struct seat *s)
{
	if (!s)
		return;
	control_free(s->control);
	execution_free(s->execution);
	assignment_deinit(&s->pending);
	if (s->end)
		event_free(s->end);
	free(s);
}
