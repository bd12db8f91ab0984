#include "backend-client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client_state.h"
#include "backend-client/transport.h"
#include "common/clock.h"

const struct backend_client_config BACKEND_CLIENT_CONFIG_DEFAULT = {
	.connect_timeout_ms = 5000,
	.idle_ping_ms = 15000,
	.backoff_initial_ms = 20,
	.backoff_max_ms = 2000,
	.breaker_failures = 10,
	.breaker_open_ms = 1000,
	.response_bytes = 16 * 1024 * 1024,
};

static void client_forget_bearer(struct backend_client *c)
{
	if (c->bearer)
		explicit_bzero(c->bearer, strlen(c->bearer));
	free(c->bearer);
	c->bearer = NULL;
}

static int client_take_bearer(struct backend_client *c, const char *bearer)
{
	const char *scheme = c->bearer_header ? "" : "Bearer ";
	char *s = NULL;

	if (bearer && asprintf(&s, "%s%s", scheme, bearer) < 0)
		return -ENOMEM;
	client_forget_bearer(c);
	c->bearer = s;
	return 0;
}

void client_destroy(struct backend_client *c)
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
	client_forget_bearer(c);
	free(c->bearer_header);
	free(c->user_agent);
	endpoint_list_deinit(&c->endpoints);
	free(c);
}

static int client_init(struct backend_client *c,
		       const struct backend_client_config *config)
{
	int r = endpoint_list_parse(&c->endpoints, config->endpoint);

	if (r < 0)
		return r;
	if (endpoint_list_has_tls(&c->endpoints)) {
		if (!transport_tls)
			return -EPROTONOSUPPORT;
		r = transport_tls->context_new(&c->tls_context,
					       config->ca_file);
		if (r < 0)
			return r;
	}
	c->conn_config = (struct client_conn_config){
		.tls_context = c->tls_context,
		.connect_timeout_ms = config->connect_timeout_ms,
		.idle_ping_ms = c->endpoints.n > 1
					? MIN(config->idle_ping_ms,
					      BACKEND_CLIENT_PING_SEVERAL_MS)
					: config->idle_ping_ms,
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
	if (config->bearer_header &&
	    !(c->bearer_header = strdup(config->bearer_header)))
		return -ENOMEM;
	return client_take_bearer(c, config->bearer);
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
	return client_take_bearer(c, bearer);
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
