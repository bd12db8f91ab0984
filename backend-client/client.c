/*
 * The policy of the client: which call goes out when, and what becomes of it.
 * Everything user code hears is told at the end of a turn of the loop
 * (client_turn), except a streamed reply, which is told as it arrives.
 */
#include "backend-client/client.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>

#include "backend-client/breaker.h"
#include "backend-client/call.h"
#include "backend-client/connection.h"
#include "backend-client/endpoint.h"
#include "backend-client/retry.h"
#include "backend-client/transport.h"
#include "common/clock.h"

#define CLIENT_POOL_MAX 64
#define CLIENT_STABLE_MS 1000 /* a connection that lived so long was good */
#define CLIENT_ALARM_MIN_MS 2 /* granularity of deadlines */
#define CLIENT_OWN_HEADERS 6

const struct backend_client_config BACKEND_CLIENT_CONFIG_DEFAULT = {
	.connect_timeout_ms = 5000,
	.idle_ping_ms = 15000,
	.backoff_initial_ms = 20,
	.backoff_max_ms = 2000,
	.breaker_failures = 10,
	.breaker_open_ms = 1000,
	.response_bytes = 16 * 1024 * 1024,
};

struct backend_client {
	struct event_base *base;
	struct endpoint endpoint;
	void *tls_context;
	char *authorization, *user_agent;
	struct client_conn_config conn_config;
	struct retry_backoff backoff;
	uint64_t response_bytes;

	struct client_conn *conn;     /* takes new calls; may be connecting */
	struct client_conn *retiring; /* after GOAWAY, or dead */
	unsigned int connect_failures;
	uint64_t connect_at_ms; /* not before */
	uint64_t ready_ms;	/* since when conn is up; 0 = it is not */
	char why[160];		/* why there is no connection */
	struct breaker breaker;

	struct backend_calls waiting, delayed, sent, ended;
	struct backend_calls all, pool;
	size_t n_pool;

	struct event turn;  /* activated: something is to be done */
	struct event alarm; /* one timer for all deadlines */
	uint64_t alarm_ms;  /* when it rings; 0 = not set */
	bool in_turn, dead;

	void (*on_state)(int on, const char *why, void *ctx);
	void *on_state_ctx;
};

static void client_schedule_turn(struct backend_client *c)
{
	if (!c->in_turn)
		event_active(&c->turn, EV_TIMEOUT, 0);
}

/* --- time ---------------------------------------------------------------- */

/* Makes sure that client_on_alarm() runs at at_ms or a little later. */
static void client_watch(struct backend_client *c, uint64_t at_ms,
			 uint64_t now_ms)
{
	uint64_t wait = at_ms > now_ms ? at_ms - now_ms : 0;
	struct timeval tv;

	if (!at_ms || (c->alarm_ms && c->alarm_ms <= at_ms))
		return;
	wait = MAX(wait, CLIENT_ALARM_MIN_MS);
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	c->alarm_ms = now_ms + wait;
	event_add(&c->alarm, &tv);
}

static uint64_t time_min(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return MIN(a, b);
}

/* --- where a call stands ------------------------------------------------- */

static struct backend_calls *client_list(struct backend_client *c,
					 enum call_place place)
{
	switch (place) {
	case CALL_WAITING:
		return &c->waiting;
	case CALL_SENT:
		return &c->sent;
	case CALL_DELAYED:
		return &c->delayed;
	case CALL_ENDED:
		break;
	}
	return &c->ended;
}

static void call_move(struct backend_call *call, enum call_place to)
{
	struct backend_client *c = call->client;

	TAILQ_REMOVE(client_list(c, call->place), call, link);
	TAILQ_INSERT_TAIL(client_list(c, to), call, link);
	call->place = to;
}

/* A call that does not outwait a backend that is down. */
static bool call_impatient(const struct backend_call *call)
{
	return call->retry == BACKEND_RETRY_NEVER || !call->deadline_ms;
}

static void call_end(struct backend_call *call, enum backend_error error,
		     const char *detail)
{
	if (call->trial)
		breaker_abandon(&call->client->breaker);
	call->trial = false;
	call->wake_ms = 0;
	if (error)
		call_set_error(call, error, detail);
	else
		call->error = BACKEND_OK;
	call_move(call, CALL_ENDED);
	client_schedule_turn(call->client);
}

static void call_wait(struct backend_call *call)
{
	call_move(call, CALL_WAITING);
	call->wake_ms = call->deadline_ms;
	client_watch(call->client, call->wake_ms, clock_mono_ms());
	client_schedule_turn(call->client);
}

/* True if it will be tried again. */
static bool call_retry(struct backend_call *call, enum retry_cause cause,
		       uint64_t at_least_ms, uint64_t now)
{
	struct backend_client *c = call->client;
	const struct retry_call attempt = {
		.mode = call->retry,
		.attempts = call->attempts,
		.deadline_ms = call->deadline_ms,
	};
	uint64_t at;

	if (call->streamed || !retry_plan(&c->backoff, &attempt, cause,
					  at_least_ms, now, arc4random(), &at))
		return false;
	call_clear_reply(call);
	if (at <= now) {
		call_wait(call);
		return true;
	}
	call_move(call, CALL_DELAYED);
	call->wake_ms = at;
	client_watch(c, at, now);
	return true;
}

static void call_attempt_failed(struct backend_call *call,
				enum retry_cause cause,
				enum backend_error error, const char *detail)
{
	struct backend_client *c = call->client;
	uint64_t now = clock_mono_ms();

	if (cause == RETRY_TIMEOUT || (call->trial && cause != RETRY_UNSENT)) {
		breaker_failure(&c->breaker, now);
		call->trial = false;
	} else if (call->trial) {
		breaker_abandon(&c->breaker);
		call->trial = false;
	}
	if (call_retry(call, cause, 0, now))
		call_set_error(call, error, detail);
	else
		call_end(call, error, detail);
}

/* --- sending ------------------------------------------------------------- */

static nghttp2_nv client_nv(const char *name, const char *value, size_t len)
{
	return (nghttp2_nv){
		.name = (uint8_t *)name,
		.namelen = strlen(name),
		.value = (uint8_t *)value,
		.valuelen = len,
		.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
			 NGHTTP2_NV_FLAG_NO_COPY_VALUE,
	};
}

static size_t client_build_headers(const struct backend_client *c,
				   const struct backend_call *call,
				   nghttp2_nv *nva)
{
	const char *scheme = endpoint_scheme(&c->endpoint);
	const char *authority = c->endpoint.authority;
	size_t n = 0;

	nva[n++] = client_nv(":method", call->method, call->method_len);
	nva[n++] = client_nv(":scheme", scheme, strlen(scheme));
	nva[n++] = client_nv(":authority", authority, strlen(authority));
	nva[n++] = client_nv(":path", call->path, call->path_len);
	if (c->authorization && !call->has_authorization)
		nva[n++] = client_nv("authorization", c->authorization,
				     strlen(c->authorization));
	if (c->user_agent)
		nva[n++] = client_nv("user-agent", c->user_agent,
				     strlen(c->user_agent));
	if (call->n_headers)
		memcpy(nva + n, call_headers(call),
		       call->n_headers * sizeof(*nva));
	return n + call->n_headers;
}

static void client_send(struct backend_client *c, struct backend_call *call,
			bool trial)
{
	nghttp2_nv nva[CLIENT_OWN_HEADERS + CALL_REQUEST_HEADERS_MAX];
	size_t n = client_build_headers(c, call, nva);
	int r;

	call->attempts++;
	call->error = BACKEND_OK;
	call->trial = trial;
	r = client_conn_submit(c->conn, &call->stream, nva, n, call->body,
			       call->body_len);
	if (r == -ENOMEM) {
		call_end(call, BACKEND_E_MEMORY, NULL);
		return;
	}
	if (r < 0) { /* it ran out of stream identifiers */
		call_attempt_failed(call, RETRY_UNSENT, BACKEND_E_BROKEN,
				    "the connection takes no new streams");
		return;
	}
	call_move(call, CALL_SENT);
	if (call->attempt_timeout_ms) {
		uint64_t now = clock_mono_ms();

		call->wake_ms = time_min(call->deadline_ms,
					 now + call->attempt_timeout_ms);
		client_watch(c, call->wake_ms, now);
	}
}

/* Ends the calls that do not wait for better times. */
static void client_fail_impatient(struct backend_client *c,
				  enum backend_error error, const char *why)
{
	struct backend_call *call, *next;

	for (call = TAILQ_FIRST(&c->waiting); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call_impatient(call))
			call_end(call, error, why);
	}
}

/* Sends what may be sent. */
static void client_dispatch(struct backend_client *c)
{
	struct backend_call *call;

	while ((call = TAILQ_FIRST(&c->waiting))) {
		bool trial = c->breaker.state != BACKEND_CLOSED;
		uint64_t now = trial ? clock_mono_ms() : 0;

		if (trial && breaker_wait_until(&c->breaker, now)) {
			client_fail_impatient(c, BACKEND_E_BREAKER,
					      "the backend failed too often; "
					      "it is left alone for a while");
			client_watch(c, breaker_wait_until(&c->breaker, now),
				     now);
			return;
		}
		if (!c->conn || !client_conn_has_room(c->conn) ||
		    !breaker_admit(&c->breaker, now))
			return;
		client_send(c, call, trial);
	}
}

/* --- the connection ------------------------------------------------------ */

static void client_tell_state(struct backend_client *c, int on, const char *why)
{
	if (c->on_state && !c->dead)
		c->on_state(on, why, c->on_state_ctx);
}

static void client_retire(struct backend_client *c)
{
	*client_conn_next(c->conn) = c->retiring;
	c->retiring = c->conn;
	c->conn = NULL;
}

/* The current connection takes no more calls: when to make the next. */
static void client_conn_gone(struct backend_client *c, const char *why)
{
	uint64_t now = clock_mono_ms();

	snprintf(c->why, sizeof(c->why), "%s", why);
	client_retire(c);
	if (c->ready_ms && now - c->ready_ms >= CLIENT_STABLE_MS)
		c->connect_failures = 0;
	c->connect_at_ms = now;
	if (c->connect_failures)
		c->connect_at_ms += retry_delay_ms(&c->backoff,
						   c->connect_failures,
						   arc4random());
	c->connect_failures++;
	if (c->ready_ms)
		client_tell_state(c, 0, why);
	c->ready_ms = 0;
	client_schedule_turn(c);
}

static void client_on_ready(void *ctx, struct client_conn *conn)
{
	struct backend_client *c = ctx;

	c->ready_ms = clock_mono_ms();
	if (c->breaker.state == BACKEND_HALF_OPEN)
		breaker_success(&c->breaker);
	client_tell_state(c, 1, "connected");
}

static void client_on_going(void *ctx, struct client_conn *conn)
{
	client_conn_gone(ctx, "the backend is going away");
}

static void client_on_lost(void *ctx, struct client_conn *conn, int error,
			   const char *why)
{
	struct backend_client *c = ctx;
	bool was_up = c->ready_ms;

	if (conn != c->conn)
		return; /* it was retiring */
	if (!was_up) {
		breaker_failure(&c->breaker, clock_mono_ms());
		client_fail_impatient(c, BACKEND_E_UNREACHABLE, why);
	}
	client_conn_gone(c, why);
}

static const struct client_conn_ops client_conn_ops;

static void client_connect(struct backend_client *c)
{
	uint64_t now;
	int r;

	if (c->conn)
		return;
	now = clock_mono_ms();
	if (now < c->connect_at_ms) {
		client_watch(c, c->connect_at_ms, now);
		return;
	}
	if (!breaker_admit(&c->breaker, now)) {
		client_watch(c, breaker_wait_until(&c->breaker, now), now);
		return;
	}
	r = client_conn_new(&c->conn, c->base, &c->conn_config,
			    &client_conn_ops, c);
	if (!r)
		return;
	c->conn = NULL;
	breaker_failure(&c->breaker, now);
	c->connect_failures++;
	c->connect_at_ms = now + c->backoff.max_ms;
	client_watch(c, c->connect_at_ms, now);
	client_fail_impatient(c, BACKEND_E_UNREACHABLE, strerror(-r));
}

static void client_free_retired(struct backend_client *c)
{
	struct client_conn **at = &c->retiring, *conn;

	while ((conn = *at)) {
		if (client_conn_is_closed(conn) && !client_conn_busy(conn)) {
			*at = *client_conn_next(conn);
			client_conn_free(conn);
		} else {
			at = client_conn_next(conn);
		}
	}
}

/* --- replies ------------------------------------------------------------- */

static struct backend_call *stream_call(struct client_stream *s)
{
	return (struct backend_call *)s;
}

static void call_refuse_reply(struct backend_call *call,
			      enum backend_error error, const char *detail)
{
	client_conn_reset(&call->stream);
	call_end(call, error, detail);
}

static void client_on_header(struct client_stream *s, nghttp2_rcbuf *name,
			     nghttp2_rcbuf *value)
{
	struct backend_call *call = stream_call(s);
	int r = call_add_reply_header(call, name, value);

	if (r == -E2BIG)
		call_refuse_reply(call, BACKEND_E_PROTOCOL,
				  "the reply has too many headers");
	else if (r < 0)
		call_refuse_reply(call, BACKEND_E_MEMORY, NULL);
}

static const char *call_reply_header(const struct backend_call *call,
				     const char *name)
{
	struct backend_response r;

	call_response(call, &r);
	r.headers = call->reply_headers;
	r.n_headers = call->n_reply_headers;
	return backend_response_header(&r, name);
}

/* True if the reply is one to ask again for, and there is time to. */
static bool call_retry_status(struct backend_call *call)
{
	uint64_t after;

	if (call->retry != BACKEND_RETRY_SAFE || !retry_status(call->status))
		return false;
	after = retry_after_ms(call_reply_header(call, "retry-after"));
	return call_retry(call, RETRY_STATUS, after, clock_mono_ms());
}

static void call_backend_answered(struct backend_call *call)
{
	breaker_success(&call->client->breaker);
	call->trial = false;
	call->client->connect_failures = 0;
}

static void client_on_headers_end(struct client_stream *s)
{
	struct backend_call *call = stream_call(s);
	struct backend_response r;

	if (call->headers_done)
		return; /* trailers */
	if (call->status / 100 == 1) {
		call_clear_reply(call);
		return;
	}
	call->headers_done = true;
	if (!call->ops.on_data)
		return;
	call_backend_answered(call);
	if (call_retry_status(call)) {
		client_conn_reset(s);
		return;
	}
	call->wake_ms = call->deadline_ms;
	call->streamed = true;
	call_response(call, &r);
	if (call->ops.on_headers && !call->client->dead)
		call->ops.on_headers(call, &r, call->ctx);
}

static void client_on_data(struct client_stream *s, const uint8_t *data,
			   size_t len)
{
	struct backend_call *call = stream_call(s);

	if (call->client->dead)
		return;
	if (call->ops.on_data) {
		call->ops.on_data(call, data, len, call->ctx);
		return;
	}
	if (call->reply.len + len > call->client->response_bytes)
		call_refuse_reply(call, BACKEND_E_TOO_LARGE, NULL);
	else if (buf_append(&call->reply, data, len) < 0)
		call_refuse_reply(call, BACKEND_E_MEMORY, NULL);
}

static void client_on_stream_end(struct client_stream *s,
				 enum client_stream_end end, const char *why)
{
	struct backend_call *call = stream_call(s);

	switch (end) {
	case CLIENT_STREAM_COMPLETE:
		call_backend_answered(call);
		if (!call_retry_status(call))
			call_end(call, BACKEND_OK, NULL);
		return;
	case CLIENT_STREAM_UNSENT:
		call_attempt_failed(call, RETRY_UNSENT, BACKEND_E_BROKEN, why);
		return;
	case CLIENT_STREAM_BROKEN:
		call_attempt_failed(call, RETRY_BROKEN, BACKEND_E_BROKEN, why);
		return;
	}
}

/* --- the turn ------------------------------------------------------------ */

static void client_put_back(struct backend_client *c, struct backend_call *call)
{
	TAILQ_REMOVE(&c->all, call, all);
	call_recycle(call);
	TAILQ_INSERT_HEAD(&c->pool, call, all);
	c->n_pool++;
}

static void client_deliver(struct backend_client *c)
{
	struct backend_call *call;

	while (!c->dead && (call = TAILQ_FIRST(&c->ended))) {
		struct backend_response r;

		TAILQ_REMOVE(&c->ended, call, link);
		call_response(call, &r);
		call->client = NULL; /* cancelling it now has no effect */
		if (call->ops.on_done)
			call->ops.on_done(call, &r, call->ctx);
		client_put_back(c, call);
	}
}

static void client_destroy(struct backend_client *c)
{
	struct backend_call *call;
	struct client_conn *conn;

	event_del(&c->turn);
	event_del(&c->alarm);
	if (c->conn)
		client_retire(c);
	while ((conn = c->retiring)) {
		c->retiring = *client_conn_next(conn);
		client_conn_free(conn);
	}
	TAILQ_CONCAT(&c->pool, &c->all, all);
	while ((call = TAILQ_FIRST(&c->pool))) {
		TAILQ_REMOVE(&c->pool, call, all);
		call_free(call);
	}
	if (c->tls_context)
		transport_tls->context_free(c->tls_context);
	if (c->authorization)
		explicit_bzero(c->authorization, strlen(c->authorization));
	free(c->authorization);
	free(c->user_agent);
	endpoint_deinit(&c->endpoint);
	free(c);
}

static void client_trim_pool(struct backend_client *c)
{
	while (c->n_pool > CLIENT_POOL_MAX) {
		struct backend_call *call = TAILQ_FIRST(&c->pool);

		TAILQ_REMOVE(&c->pool, call, all);
		call_free(call);
		c->n_pool--;
	}
}

static void client_turn(void *ctx)
{
	struct backend_client *c = ctx;

	c->in_turn = true;
	do {
		client_deliver(c);
		if (c->dead)
			break;
		client_connect(c);
		client_dispatch(c);
	} while (!TAILQ_EMPTY(&c->ended));
	c->in_turn = false;
	if (c->dead) {
		client_destroy(c);
		return;
	}
	if (c->retiring)
		client_free_retired(c);
	client_trim_pool(c);
}

static const struct client_conn_ops client_conn_ops = {
	.on_ready = client_on_ready,
	.on_going = client_on_going,
	.on_lost = client_on_lost,
	.on_header = client_on_header,
	.on_headers_end = client_on_headers_end,
	.on_data = client_on_data,
	.on_stream_end = client_on_stream_end,
	.on_turn_end = client_turn,
};

static void client_on_turn(evutil_socket_t fd, short what, void *arg)
{
	client_turn(arg);
}

/* --- deadlines ----------------------------------------------------------- */

static void call_deadline_passed(struct backend_call *call)
{
	struct backend_client *c = call->client;

	if (call->place == CALL_SENT) {
		client_conn_reset(&call->stream);
		if (!call->streamed)
			breaker_failure(&c->breaker, clock_mono_ms());
		call->trial = false;
		call_end(call, BACKEND_E_DEADLINE,
			 "the backend did not answer in time");
	} else if (call->error) { /* of the last attempt */
		call_end(call, call->error, call->detail);
	} else if (!c->ready_ms && c->why[0]) {
		call_end(call, BACKEND_E_UNREACHABLE, c->why);
	} else {
		call_end(call, BACKEND_E_DEADLINE, NULL);
	}
}

static void call_step_due(struct backend_call *call, uint64_t now)
{
	if (call->deadline_ms && now >= call->deadline_ms) {
		call_deadline_passed(call);
		return;
	}
	if (call->place == CALL_DELAYED) {
		call_wait(call);
		return;
	}
	if (call->place == CALL_SENT) {
		client_conn_reset(&call->stream);
		call_attempt_failed(call, RETRY_TIMEOUT, BACKEND_E_DEADLINE,
				    "the backend did not answer in time");
	}
}

static void client_on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct backend_client *c = arg;
	uint64_t now = clock_mono_ms(), next = 0;
	struct backend_call *call;

	c->alarm_ms = 0;
	TAILQ_FOREACH(call, &c->all, all) {
		if (call->wake_ms && now >= call->wake_ms)
			call_step_due(call, now);
		next = time_min(next, call->wake_ms);
	}
	client_watch(c, next, now);
	client_turn(c);
}

/* --- public -------------------------------------------------------------- */

static int client_set_authorization(struct backend_client *c,
				    const char *bearer)
{
	char *s = NULL;

	if (bearer && asprintf(&s, "Bearer %s", bearer) < 0)
		return -ENOMEM;
	if (c->authorization)
		explicit_bzero(c->authorization, strlen(c->authorization));
	free(c->authorization);
	c->authorization = s;
	return 0;
}

static int client_init(struct backend_client *c,
		       const struct backend_client_config *config)
{
	int r = endpoint_parse(&c->endpoint, config->endpoint);

	if (r < 0)
		return r;
	if (c->endpoint.kind == ENDPOINT_TLS) {
		if (!transport_tls)
			return -EPROTONOSUPPORT;
		r = transport_tls->context_new(&c->tls_context,
					       config->ca_file);
		if (r < 0)
			return r;
	}
	c->conn_config = (struct client_conn_config){
		.endpoint = &c->endpoint,
		.tls_context = c->tls_context,
		.connect_timeout_ms = config->connect_timeout_ms,
		.idle_ping_ms = config->idle_ping_ms,
	};
	c->backoff = (struct retry_backoff){
		.initial_ms = config->backoff_initial_ms,
		.max_ms = config->backoff_max_ms,
	};
	c->response_bytes = config->response_bytes;
	breaker_init(&c->breaker, config->breaker_failures,
		     config->breaker_open_ms);
	if (config->user_agent && !(c->user_agent = strdup(config->user_agent)))
		return -ENOMEM;
	return client_set_authorization(c, config->bearer);
}

int backend_client_new(struct backend_client **out, struct event_base *base,
		       const struct backend_client_config *config)
{
	struct backend_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->base = base;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->delayed);
	TAILQ_INIT(&c->sent);
	TAILQ_INIT(&c->ended);
	TAILQ_INIT(&c->all);
	TAILQ_INIT(&c->pool);
	event_assign(&c->turn, base, -1, 0, client_on_turn, c);
	event_assign(&c->alarm, base, -1, 0, client_on_alarm, c);
	r = client_init(c, config);
	if (r < 0) {
		client_destroy(c);
		return r;
	}
	client_schedule_turn(c);
	*out = c;
	return 0;
}

static bool client_busy(const struct backend_client *c)
{
	if (c->in_turn || (c->conn && client_conn_busy(c->conn)))
		return true;
	for (struct client_conn *conn = c->retiring; conn;
	     conn = *client_conn_next(conn))
		if (client_conn_busy(conn))
			return true;
	return false;
}

void backend_client_free(struct backend_client *c)
{
	if (!c)
		return;
	if (client_busy(c))
		c->dead = true;
	else
		client_destroy(c);
}

int backend_client_set_bearer(struct backend_client *c, const char *bearer)
{
	if (c->conn)
		client_conn_settle(c->conn);
	return client_set_authorization(c, bearer);
}

bool backend_client_connected(const struct backend_client *c)
{
	return c->conn && client_conn_is_ready(c->conn);
}

enum backend_breaker backend_client_breaker(const struct backend_client *c)
{
	return c->breaker.state;
}

void backend_client_on_state(struct backend_client *c,
			     void (*fn)(int on, const char *why, void *ctx),
			     void *ctx)
{
	c->on_state = fn;
	c->on_state_ctx = ctx;
}

static struct backend_call *client_take_call(struct backend_client *c)
{
	struct backend_call *call = TAILQ_FIRST(&c->pool);

	if (!call)
		return call_new();
	TAILQ_REMOVE(&c->pool, call, all);
	c->n_pool--;
	return call;
}

int backend_client_call(struct backend_client *c,
			const struct backend_request *req,
			const struct backend_call_ops *ops, void *ctx,
			struct backend_call **out)
{
	struct backend_call *call = client_take_call(c);
	int r;

	if (!call)
		return -ENOMEM;
	r = call_set_request(call, req);
	if (r < 0) {
		call_free(call);
		return r;
	}
	call->client = c;
	call->ops = *ops;
	call->ctx = ctx;
	call->place = CALL_WAITING;
	TAILQ_INSERT_TAIL(&c->all, call, all);
	TAILQ_INSERT_TAIL(&c->waiting, call, link);
	if (req->deadline_ms) {
		uint64_t now = clock_mono_ms();

		call->deadline_ms = call->wake_ms = now + req->deadline_ms;
		client_watch(c, call->wake_ms, now);
	}
	if (out)
		*out = call;
	client_dispatch(c);
	return 0;
}

void backend_call_cancel(struct backend_call *call)
{
	struct backend_client *c = call->client;

	if (!c)
		return; /* inside its own on_done */
	client_conn_reset(&call->stream);
	if (call->trial)
		breaker_abandon(&c->breaker);
	TAILQ_REMOVE(client_list(c, call->place), call, link);
	client_put_back(c, call);
	client_schedule_turn(c);
}

void backend_call_pause(struct backend_call *call)
{
	client_conn_pause(&call->stream);
}

void backend_call_resume(struct backend_call *call)
{
	client_conn_resume(&call->stream);
}

/* --- small things of the public header ----------------------------------- */

const char *backend_response_header(const struct backend_response *r,
				    const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (!strcmp(r->headers[i].name, name))
			return r->headers[i].value;
	return NULL;
}

const char *backend_strerror(enum backend_error e)
{
	switch (e) {
	case BACKEND_OK:
		return "success";
	case BACKEND_E_UNREACHABLE:
		return "the backend cannot be reached";
	case BACKEND_E_DEADLINE:
		return "the deadline passed";
	case BACKEND_E_BROKEN:
		return "the connection to the backend broke";
	case BACKEND_E_BREAKER:
		return "the backend failed too often; it is left alone for a "
		       "while";
	case BACKEND_E_TOO_LARGE:
		return "the reply is too large";
	case BACKEND_E_PROTOCOL:
		return "the backend broke the protocol";
	case BACKEND_E_MEMORY:
		return "out of memory";
	}
	return "unknown error";
}
