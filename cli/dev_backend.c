/* The fake backend's door: who asks, which route, what was answered before. */
#include "cli/dev_backend.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dev_backend_impl.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/http/problem.h"
#include "common/http/trace.h"
#include "common/json.h"
#include "common/trace.h"

/* --- the end of a call ---------------------------------------------------- */

void dev_call_free(struct dev_call *call)
{
	if (call->free_data)
		call->free_data(call->data);
	free(call);
}

static void on_close(struct http_exchange *ex, void *data)
{
	dev_call_free(data);
}

static void reply_free(struct dev_backend *b, struct dev_reply *r)
{
	TAILQ_REMOVE(&b->replies, r, link);
	b->n_replies--;
	buf_deinit_secret(&r->body);
	free(r);
}

/* So that the same key gives the same again. */
static void remember(struct dev_call *call, int status, const char *etag,
		     bool secret, const void *body, size_t len)
{
	struct dev_backend *b = call->b;
	struct dev_reply *r;

	if (!call->has_key || (status >= 300 && call->kind != DEV_KEYS_TOOLS))
		return;
	r = calloc(1, sizeof(*r));
	if (!r || buf_append(&r->body, body, len) < 0) {
		free(r);
		return;
	}
	r->kind = call->kind;
	r->status = status;
	r->secret = secret;
	snprintf(r->key, sizeof(r->key), "%s",
		 http_request_header(call->req, "idempotency-key"));
	snprintf(r->etag, sizeof(r->etag), "%s", etag);
	memcpy(r->digest, call->digest, sizeof(r->digest));
	TAILQ_INSERT_TAIL(&b->replies, r, link);
	if (++b->n_replies > DEV_REPLIES_MAX)
		reply_free(b, TAILQ_FIRST(&b->replies));
}

static void respond(struct dev_call *call, int status, const char *etag,
		    bool secret, const void *body, size_t len)
{
	struct http_header headers[4];
	size_t n = 0;

	headers[n++] = (struct http_header){ "cache-control", "no-store" };
	if (len)
		headers[n++] = (struct http_header){
			"content-type",
			status < 400 ? "application/json"
				     : "application/problem+json",
		};
	if (*etag)
		headers[n++] = (struct http_header){ "etag", etag };
	if (secret)
		headers[n++] = (struct http_header){ "x-cronium-secret", "1" };
	http_respond(call->ex, status, headers, n, body, len);
	dev_call_free(call);
}

void dev_answer(struct dev_call *call, int status, const struct dev_variable *v,
		const void *body, size_t len)
{
	char etag[24] = "";

	if (v)
		snprintf(etag, sizeof(etag), "\"%lld\"", (long long)v->version);
	remember(call, status, etag, v && v->secret, body, len);
	respond(call, status, etag, v && v->secret, body, len);
}

void dev_answer_json(struct dev_call *call, int status, json_t *value)
{
	_cleanup_(buf_deinit_secret) struct buf text = { 0 };

	if (!value || json_append(&text, value) < 0)
		dev_no_memory(call);
	else
		dev_answer(call, status, NULL, text.data, text.len);
	json_decref(value);
}

/* --- problems ------------------------------------------------------------- */

static PRINTF_LIKE(6, 0) void problem(struct dev_call *call, int status,
				      const char *code, const char *member,
				      int64_t value, const char *fmt,
				      va_list ap)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	char detail[1024], trace[TRACE_BYTES];
	const struct http_problem_text p = {
		.status = status,
		.code = code,
		.detail = detail,
		.trace_id = trace,
		.members = { { member, value } },
	};

	http_trace_id(call->req, trace);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	if (http_problem_append(&text, &p) < 0)
		buf_clear(&text);
	remember(call, status, "", false, text.data, text.len);
	respond(call, status, "", false, text.data, text.len);
}

void dev_problem(struct dev_call *call, int status, const char *code,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	problem(call, status, code, NULL, 0, fmt, ap);
	va_end(ap);
}

void dev_problem_with(struct dev_call *call, int status, const char *code,
		      const char *member, int64_t value, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	problem(call, status, code, member, value, fmt, ap);
	va_end(ap);
}

void dev_no_memory(struct dev_call *call)
{
	call->has_key = false;
	dev_problem(call, 503, "store_failed",
		    "nothing was stored: out of memory; try again");
}

/* --- requests ------------------------------------------------------------- */

bool dev_query_number(struct dev_call *call, const char *name, int64_t def,
		      int64_t *out)
{
	char text[32], *end = text;
	int found = http_query_get(call->req->query, name, text, sizeof(text));

	*out = def;
	if (!found)
		return true;
	errno = 0;
	if (found > 0 && *text >= '0' && *text <= '9')
		*out = strtoll(text, &end, 10);
	if (end != text && !*end && !errno)
		return true;
	dev_problem(call, 400, "invalid_query", "%s must be a number from 0 on",
		    name);
	return false;
}

static int digest(struct dev_call *call, const char *what, const void *body,
		  size_t len)
{
	_cleanup_(buf_deinit_secret) struct buf text = { 0 };

	if (buf_append(&text, what, strlen(what) + 1) < 0 ||
	    buf_append(&text, body, len) < 0)
		return -ENOMEM;
	return token_digest((char *)text.data, text.len, call->digest);
}

static void repeat(struct dev_call *call, const struct dev_reply *r)
{
	if (!memcmp(r->digest, call->digest, sizeof(r->digest)))
		respond(call, r->status, r->etag, r->secret, r->body.data,
			r->body.len);
	else
		dev_problem(call, 422, "key_reused",
			    "this Idempotency-Key was used for another "
			    "request");
}

bool dev_repeated(struct dev_call *call, enum dev_keys kind, const char *what,
		  const void *body, size_t len)
{
	const char *key = http_request_header(call->req, "idempotency-key");
	const struct dev_reply *r;

	if (!key)
		return false;
	if (!*key || strlen(key) > DEV_KEY_MAX_BYTES) {
		dev_problem(call, 400, "invalid_idempotency_key",
			    "Idempotency-Key must be 1 to %d bytes",
			    DEV_KEY_MAX_BYTES);
		return true;
	}
	if (digest(call, what, body, len) < 0) {
		dev_no_memory(call);
		return true;
	}
	TAILQ_FOREACH(r, &call->b->replies, link)
		if (r->kind == kind && !strcmp(r->key, key)) {
			repeat(call, r);
			return true;
		}
	call->kind = kind;
	call->has_key = true;
	return false;
}

/* --- routes --------------------------------------------------------------- */

static const dev_handler_fn handlers[] = {
	dev_get_variable,       dev_put_variable,     dev_delete_variable,
	dev_increment_variable, dev_list_variables,   dev_get_input,
	dev_post_output,        dev_get_input_stream, dev_post_output_stream,
	dev_get_condition,      dev_post_condition,   dev_get_context,
	dev_get_changes,        dev_post_audit,       dev_post_tool,
};

#define PREFIX "/v1/runtime"

/* The flags are the index in handlers[]. */
static const struct http_route routes[] = {
	{ HTTP_GET, PREFIX "/variables/{key}", NULL, 0 },
	{ HTTP_PUT, PREFIX "/variables/{key}", NULL, 1 },
	{ HTTP_DELETE, PREFIX "/variables/{key}", NULL, 2 },
	{ HTTP_POST, PREFIX "/variables/{key}/increment", NULL, 3 },
	{ HTTP_GET, PREFIX "/variables", NULL, 4 },
	{ HTTP_GET, PREFIX "/input", NULL, 5 },
	{ HTTP_POST, PREFIX "/output", NULL, 6 },
	{ HTTP_GET, PREFIX "/input/stream", NULL, 7 },
	{ HTTP_POST, PREFIX "/output/stream", NULL, 8 },
	{ HTTP_GET, PREFIX "/condition", NULL, 9 },
	{ HTTP_POST, PREFIX "/condition", NULL, 10 },
	{ HTTP_GET, PREFIX "/context", NULL, 11 },
	{ HTTP_GET, PREFIX "/changes", NULL, 12 },
	{ HTTP_POST, PREFIX "/audit", NULL, 13 },
	{ HTTP_POST, PREFIX "/tool-actions/execute", NULL, 14 },
};

static void on_body(struct http_exchange *ex, const uint8_t *body, size_t len,
		    void *data)
{
	struct dev_call *call = data;
	const struct http_route *route = call->data;

	call->data = NULL;
	handlers[route->flags](call, body, len);
}

static bool knows(const struct dev_backend *b, const struct http_request *req)
{
	const char *token = http_request_header(req, "x-cronium-token");

	return token && !strcmp(token, b->token);
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	struct http_params params;
	const struct http_route *route =
		http_route_find(routes, ARRAY_SIZE(routes), ex, &params);
	struct dev_call *call;

	if (!route)
		return;
	call = calloc(1, sizeof(*call));
	if (!call) {
		http_problem(ex, 503, "store_failed", NULL, "out of memory");
		return;
	}
	call->b = ctx;
	call->ex = ex;
	call->req = http_exchange_request(ex);
	call->data = (void *)(uintptr_t)route;
	http_exchange_set_data(ex, call);
	http_exchange_on_close(ex, on_close);
	if (!knows(ctx, call->req)) {
		dev_problem(call, 401, "invalid_token",
			    "this token is not the execution's");
	} else if (route->flags <= 3 &&
		   !var_key_valid(http_param(&params, "key"))) {
		dev_problem(call, 400, "invalid_key",
			    "a variable's key is " VAR_KEY_RULE);
	} else {
		snprintf(call->key, sizeof(call->key), "%s",
			 http_param(&params, "key"));
		http_exchange_collect(ex, DEV_BODY_MAX_BYTES, on_body);
	}
}

/* --- life ----------------------------------------------------------------- */

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	dev_changes_beat(arg);
}

static int set_up(struct dev_backend *b, const char *path)
{
	const struct timeval beat = clock_timeval(FRAME_HEARTBEAT_MS);
	int r = http_server_new(&b->server, b->base, NULL, on_request, b);

	if (r < 0)
		return r;
	b->heartbeat = event_new(b->base, -1, EV_PERSIST, on_heartbeat, b);
	if (!b->heartbeat || event_add(b->heartbeat, &beat) < 0)
		return -ENOMEM;
	return http_server_listen_unix(b->server, path, 0600, NULL);
}

int dev_backend_new(struct dev_backend **out, struct event_base *base,
		    const char *path, const char *token,
		    struct dev_state *state)
{
	struct dev_backend *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->base = base;
	b->token = token;
	b->state = state;
	TAILQ_INIT(&b->replies);
	LIST_INIT(&b->watches);
	r = set_up(b, path);
	if (r < 0) {
		dev_backend_free(b);
		return r;
	}
	*out = b;
	return 0;
}

void dev_backend_free(struct dev_backend *b)
{
	if (!b)
		return;
	http_server_free(b->server);
	if (b->heartbeat)
		event_free(b->heartbeat);
	while (!TAILQ_EMPTY(&b->replies))
		reply_free(b, TAILQ_FIRST(&b->replies));
	free(b);
}
