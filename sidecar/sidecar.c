#include "sidecar/sidecar.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/http/server.h"
#include "common/log.h"
#include "sidecar/assignment.h"
#include "sidecar/auth.h"
#include "sidecar/control.h"
#include "sidecar/execution.h"
#include "sidecar/hold.h"
#include "sidecar/idle.h"
#include "sidecar/limits.h"
#include "sidecar/listen.h"
#include "sidecar/options.h"
#include "sidecar/request.h"
#include "sidecar/routes.h"
#include "sidecar/stream_write.h"
#include "sidecar/watch.h"

struct sidecar {
	enum sidecar_state state;
	const struct sidecar_options *options;
	struct event_base *base;
	struct http_server *server;
	struct control *control;
	struct hold hold;
	struct metrics metrics;
	/* ASSIGN came, INPUT did not yet. */
	struct assignment pending;
	struct execution *execution;
	struct event *sigterm, *sigint;
	struct idle idle;
	struct event *end; /* of draining, then of lingering */
	bool drained;
	int exit_code;
};

/* --- states --------------------------------------------------------------- */

static UNUSED bool may_follow(enum sidecar_state from, enum sidecar_state to)
{
	switch (from) {
	case SIDECAR_CREATED:
		return to == SIDECAR_READY || to == SIDECAR_GONE;
	case SIDECAR_READY:
		return to == SIDECAR_ASSIGNED || to == SIDECAR_DRAINING;
	case SIDECAR_ASSIGNED:
		return to == SIDECAR_DRAINING;
	case SIDECAR_DRAINING:
		return to == SIDECAR_GONE;
	case SIDECAR_GONE:
		return false;
	}
	return false;
}

static const char *who(const struct sidecar *s)
{
	return s->execution ? s->execution->assignment.execution : "-";
}

static void set_state(struct sidecar *s, enum sidecar_state state)
{
	assert(may_follow(s->state, state));
	s->state = state;
	log_debug(who(s), "now %s", sidecar_state_name(state));
}

enum sidecar_state sidecar_state(const struct sidecar *s)
{
	return s->state;
}

const char *sidecar_state_name(enum sidecar_state state)
{
	static const char *const names[] = {
		[SIDECAR_CREATED] = "created",
		[SIDECAR_READY] = "ready",
		[SIDECAR_ASSIGNED] = "assigned",
		[SIDECAR_DRAINING] = "draining",
		[SIDECAR_GONE] = "gone",
	};

	return names[state];
}

const struct execution *sidecar_execution(const struct sidecar *s)
{
	return s->execution;
}

uint32_t sidecar_connections(const struct sidecar *s)
{
	struct http_server_stats stats;

	http_server_get_stats(s->server, &stats);
	return stats.connections_open;
}

/* --- the end -------------------------------------------------------------- */

static void set_end(struct sidecar *s, unsigned int ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(s->end, &tv);
}

static void leave(struct sidecar *s)
{
	set_state(s, SIDECAR_GONE);
	event_base_loopbreak(s->base);
}

static void log_stats(const struct sidecar *s)
{
	const struct metrics *m = &s->metrics;

	log_info(who(s),
		 "drained: %" PRIu64 " requests, %" PRIu64
		 " errors, cache %" PRIu64 " hits %" PRIu64 " misses %" PRIu64
		 " stale, %u "
		 "writes cut off",
		 metrics_requests(m), metrics_errors(m), m->cache[METRICS_HIT],
		 m->cache[METRICS_MISS], m->cache[METRICS_STALE],
		 s->execution ? s->execution->writes : 0);
}

/* The writes have ended, or took too long. */
static void finish_drain(struct sidecar *s)
{
	_cleanup_(buf_deinit) struct buf stats = { 0 };

	if (s->drained)
		return;
	s->drained = true;
	log_stats(s);
	if (metrics_append_stats(&s->metrics, &stats) < 0 ||
	    control_drained(s->control, stats.data, stats.len) < 0)
		leave(s);
	else
		/* The orchestrator closes the stream once it has it. */
		set_end(s, SIDECAR_LINGER_MS);
}

static void on_writes_done(void *ctx)
{
	struct sidecar *s = ctx;

	if (s->state == SIDECAR_DRAINING)
		finish_drain(s);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct sidecar *s = arg;

	if (s->state != SIDECAR_DRAINING)
		return;
	if (s->drained)
		leave(s);
	else
		finish_drain(s);
}

static void drain(struct sidecar *s, const char *why)
{
	if (s->state != SIDECAR_READY && s->state != SIDECAR_ASSIGNED)
		return;
	log_info(who(s), "drains: %s", why);
	set_state(s, SIDECAR_DRAINING);
	if (s->execution) {
		stream_write_drain_all(s->execution);
		watch_end_all(s->execution);
	}
	if (s->execution && s->execution->writes)
		set_end(s, SIDECAR_DRAIN_MS);
	else
		finish_drain(s);
}

/* --- requests ------------------------------------------------------------- */

static void refuse_draining(struct request *req)
{
	reply_problem(&req->reply, 503, "draining",
		      "the job has ended, and its sidecar takes no more "
		      "requests");
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	struct sidecar *s = ctx;
	struct request req;

	if (!routes_find(&req, ex, &s->metrics, s->execution))
		return;
	req.sidecar = s;
	if (routes_is_public(&req) || s->state == SIDECAR_ASSIGNED)
		routes_run(&req);
	else if (s->state < SIDECAR_ASSIGNED)
		hold_add(&s->hold, &req);
	else
		refuse_draining(&req);
}

static void serve_held(struct sidecar *s)
{
	struct http_exchange *ex;

	while ((ex = hold_take(&s->hold)))
		on_request(ex, s);
}

/* --- the orchestrator ----------------------------------------------------- */

static void fail(struct sidecar *s, const char *what, const char *why)
{
	log_error(who(s), "%s: %s", what, why);
	s->exit_code = 1;
	drain(s, what);
}

static void on_assign(const void *json, size_t len, void *ctx)
{
	struct sidecar *s = ctx;
	char err[256] = "out of memory";

	if (s->state != SIDECAR_READY || s->pending.execution) {
		fail(s, "assignment refused", "there was one before");
		return;
	}
	if (assignment_parse(&s->pending, json, len, err, sizeof(err)) < 0)
		fail(s, "assignment refused", err);
}

static void on_input(const void *data, size_t len, void *ctx)
{
	struct sidecar *s = ctx;
	char err[256] = "out of memory";
	int r;

	if (s->state != SIDECAR_READY || !s->pending.execution)
		return;
	r = buf_append(&s->pending.input, data, len);
	if (!r)
		r = execution_new(&s->execution, s->base, &s->pending,
				  s->options->backend, s->control, &s->metrics,
				  err, sizeof(err));
	if (!r)
		r = control_assigned(s->control);
	if (r < 0) {
		fail(s, "assignment refused", err);
		return;
	}
	s->execution->on_writes_done = on_writes_done;
	s->execution->ctx = s;
	set_state(s, SIDECAR_ASSIGNED);
	log_set_trace(s->execution->assignment.trace);
	log_info(who(s), "assigned, job %s", s->execution->assignment.job);
	serve_held(s);
	idle_look_soon(&s->idle);
}

static void on_revoke(const char *jti, void *ctx)
{
	struct sidecar *s = ctx;

	if (!s->execution)
		return;
	log_info(who(s), "token %s is revoked", jti);
	if (auth_revoke(s->execution->auth, jti) < 0)
		fail(s, "too many revoked tokens", jti);
}

static void on_drain(void *ctx)
{
	drain(ctx, "the orchestrator asks for it");
}

static void on_lost(const char *reason, void *ctx)
{
	struct sidecar *s = ctx;

	if (s->state == SIDECAR_DRAINING && s->drained) {
		leave(s);
		return;
	}
	log_warn(who(s), "control stream lost: %s", reason);
	s->exit_code = 1;
	drain(s, "nobody is in charge of this job any more");
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	drain(arg, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* --- set-up --------------------------------------------------------------- */

static int set_up_loop(struct sidecar *s)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	s->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!s->base)
		return -ENOMEM;
	s->sigterm = evsignal_new(s->base, SIGTERM, on_signal, s);
	s->sigint = evsignal_new(s->base, SIGINT, on_signal, s);
	s->end = evtimer_new(s->base, on_end, s);
	if (!s->sigterm || !s->sigint || !s->end ||
	    event_add(s->sigterm, NULL) < 0 || event_add(s->sigint, NULL) < 0)
		return -ENOMEM;
	return hold_init(&s->hold, s->base);
}

/* Listens, then says so. */
static int set_up_doors(struct sidecar *s, char *err, size_t err_size)
{
	static const struct control_ops ops = {
		.on_assign = on_assign,
		.on_input = on_input,
		.on_revoke = on_revoke,
		.on_drain = on_drain,
		.on_lost = on_lost,
	};
	_cleanup_(buf_deinit) struct buf ready = { 0 };
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	int r;

	limits.reply_bytes = LIMITS_REPLY_BYTES;
	if ((r = http_server_new(&s->server, s->base, &limits, on_request,
				 s)) ||
	    (r = idle_init(&s->idle, s->base, s->server)) ||
	    (r = buf_printf(&ready,
			    "{\"version\":\"%s\",\"pid\":%d,\"listen\":",
			    CRONIUM_VERSION, (int)getpid())) ||
	    (r = listen_all(s->server, &s->options->listen, &ready, err,
			    err_size)) ||
	    (r = buf_append(&ready, "}", 1)) || !buf_cstr(&ready))
		return r ? r : -ENOMEM;
	set_state(s, SIDECAR_READY);
	idle_look_soon(&s->idle);
	r = control_new(&s->control, s->base, s->options->control,
			(const char *)ready.data, &ops, s);
	if (r < 0)
		snprintf(err, err_size, "cannot use the control socket %s: %s",
			 s->options->control, strerror(-r));
	return r;
}

int sidecar_new(struct sidecar **out, const struct sidecar_options *options,
		char *err, size_t err_size)
{
	struct sidecar *s = calloc(1, sizeof(*s));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!s)
		return -ENOMEM;
	s->options = options;
	r = set_up_loop(s);
	if (!r)
		r = set_up_doors(s, err, err_size);
	if (r < 0) {
		sidecar_free(s);
		return r;
	}
	*out = s;
	return 0;
}

int sidecar_run(struct sidecar *s)
{
	if (event_base_dispatch(s->base) < 0)
		return 1;
	return s->exit_code;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void sidecar_free(struct sidecar *s)
{
	if (!s)
		return;
	http_server_free(s->server);
	control_free(s->control);
	execution_free(s->execution);
	assignment_deinit(&s->pending);
	hold_deinit(&s->hold);
	free_event(s->sigterm);
	free_event(s->sigint);
	free_event(s->end);
	idle_deinit(&s->idle);
	if (s->base) {
		/* What was closed a moment ago is freed at the turn's end. */
		event_base_loop(s->base, EVLOOP_NONBLOCK);
		event_base_free(s->base);
	}
	free(s);
}
