#include "backend/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/api_routes.h"
#include "backend/live.h"
#include "backend/metrics.h"
#include "common/json.h"
#include "common/log.h"

#define API_DETAIL_MAX_BYTES 4096

/* A store operation that outlives its call; freed by its completion. */
struct api_pending {
	struct backend *b;
	struct api_call *call; /* NULL: the peer left */
	api_always_fn fn;
};

/* --- the life of a call -------------------------------------------------- */

static void api_call_free(struct api_call *call)
{
	if (call->on_end)
		call->on_end(call);
	store_owner_cancel(&call->owner);
	if (call->pending)
		call->pending->call = NULL;
	live_token_unref(call->caller.token);
	free(call);
}

static void on_exchange_close(struct http_exchange *ex, void *data)
{
	api_call_free(data);
}

static enum metrics_class api_metrics_class(const struct http_route *route)
{
	switch ((enum api_access)route->flags) {
	case API_PUBLIC:
		return METRICS_PUBLIC;
	case API_ADMIN:
		return METRICS_ADMIN;
	case API_AGENT:
		return METRICS_AGENT;
	case API_RUNTIME:
		return METRICS_RUNTIME;
	}
	return METRICS_UNROUTED;
}

static void api_count(const struct api_call *call, int status)
{
	metrics_request(call->b->metrics, api_metrics_class(call->route),
			status);
}

void api_on_request(struct http_exchange *ex, void *ctx)
{
	struct backend *b = ctx;
	struct api_call *call = calloc(1, sizeof(*call));

	if (!call) {
		http_problem(ex, 503, "out_of_memory", NULL,
			     "the backend is out of memory; try again");
		return;
	}
	call->b = b;
	call->ex = ex;
	call->req = http_exchange_request(ex);
	call->route = http_route_find(api_routes, api_routes_n, ex,
				      &call->params);
	if (!call->route) {
		metrics_request(b->metrics, METRICS_UNROUTED, 404);
		free(call);
		return;
	}
	http_trace_id(call->req, call->trace_id);
	http_exchange_set_data(ex, call);
	http_exchange_on_close(ex, on_exchange_close);
	if (auth_check(b->auth, call))
		call->route->handler(ex, &call->params, call);
}

/* --- answers ------------------------------------------------------------- */

void api_reply(struct api_call *call, int status,
	       const struct http_header *headers, size_t n, const void *body,
	       size_t len)
{
	struct http_exchange *ex = call->ex;

	api_count(call, status);
	http_respond(ex, status, headers, n, body, len);
	api_call_free(call);
}

void api_reply_empty(struct api_call *call, int status)
{
	api_reply(call, status, NULL, 0, NULL, 0);
}

void api_reply_json(struct api_call *call, int status, json_t *o)
{
	static const struct http_header headers[] = {
		{ "content-type", "application/json" },
		{ "cache-control", "no-store" },
	};
	struct buf body = { 0 };

	if (!o || json_append(&body, o))
		api_reply_empty(call, 503);
	else
		api_reply(call, status, headers, ARRAY_SIZE(headers), body.data,
			  body.len);
	buf_deinit(&body);
	json_decref(o);
}

/* Fills in the detail and the trace, and answers. */
static PRINTF_LIKE(3, 0) void api_problem_reply(struct api_call *call,
						struct http_problem_text text,
						const char *fmt, va_list ap)
{
	const struct http_header headers[] = {
		{ "content-type", "application/problem+json" },
		{ "cache-control", "no-store" },
		text.status == 401
			? (struct http_header){ "www-authenticate", "Bearer" }
			: (struct http_header){ "retry-after", "1" },
	};
	bool more = text.status == 401 || text.status == 503;
	size_t n = ARRAY_SIZE(headers) - (more ? 0 : 1);
	char detail[API_DETAIL_MAX_BYTES];
	struct buf body = { 0 };

	vsnprintf(detail, sizeof(detail), fmt, ap);
	text.detail = detail;
	text.trace_id = call->trace_id;
	if (http_problem_append(&body, &text))
		api_reply_empty(call, 503);
	else
		api_reply(call, text.status, headers, n, body.data, body.len);
	buf_deinit(&body);
}

void api_problem(struct api_call *call, int status, const char *code,
		 const char *fmt, ...)
{
	const struct http_problem_text text = {
		.status = status,
		.code = code,
	};
	va_list ap;

	va_start(ap, fmt);
	api_problem_reply(call, text, fmt, ap);
	va_end(ap);
}

void api_problem_with(struct api_call *call, int status, const char *code,
		      const char *member, int64_t value, const char *fmt, ...)
{
	const struct http_problem_text text = {
		.status = status,
		.code = code,
		.members = { { member, value } },
	};
	va_list ap;

	va_start(ap, fmt);
	api_problem_reply(call, text, fmt, ap);
	va_end(ap);
}

void api_problem_two(struct api_call *call, int status, const char *code,
		     const struct http_problem_member members[2],
		     const char *fmt, ...)
{
	const struct http_problem_text text = {
		.status = status,
		.code = code,
		.members = { members[0], members[1] },
	};
	va_list ap;

	va_start(ap, fmt);
	api_problem_reply(call, text, fmt, ap);
	va_end(ap);
}

bool api_in_scope(struct api_call *call, enum token_scope scope,
		  const char *name)
{
	if (call->caller.token->claims.scopes & scope)
		return true;
	auth_audit_refusal(call->b->auth, call, name, name, "forbidden");
	api_problem(call, 403, "forbidden", "the token does not allow %s",
		    name);
	return false;
}

void api_stream_start(struct api_call *call, const char *content_type)
{
	api_stream_start_with(call, content_type, NULL, NULL);
}

void api_stream_start_with(struct api_call *call, const char *content_type,
			   const char *name, const char *value)
{
	const struct http_header headers[] = {
		{ "content-type", content_type },
		{ "cache-control", "no-store" },
		{ name, value },
	};

	api_count(call, 200);
	http_respond_start(call->ex, 200, headers,
			   ARRAY_SIZE(headers) - (name ? 0 : 1));
}

void api_stream_end(struct api_call *call)
{
	http_respond_end(call->ex);
	api_call_free(call);
}

void api_stream_abort(struct api_call *call)
{
	http_respond_abort(call->ex);
	api_call_free(call);
}

/* --- the store ----------------------------------------------------------- */

static const struct {
	int outcome, status;
	const char *before, *after; /* what the call was about */
} api_outcomes[] = {
	{ STORE_E_NOT_FOUND, 404, "there is no", "" },
	{ STORE_E_EXISTS, 412, "there is already a", "" },
	{ STORE_E_STALE_EPOCH, 409, "the lease is no longer held for", "" },
	{ STORE_E_ENDED, 409, "too late, it has ended:", "" },
	{ STORE_E_LIMIT, 429, "there is no room for another", "; try later" },
	{ STORE_E_TYPE, 409, "not a number:", "" },
	{ STORE_E_RANGE, 409, "it would become too large a number:", "" },
	{ STORE_E_KEY_REUSED, 422, "this Idempotency-Key was used for another",
	  "" },
	{ STORE_E_STATE, 409, "it is too late for this", "" },
	{ STORE_E_FAMILY, 409, "there are too many jobs for another", "" },
	{ STORE_E_HOST, 400, "a host is not registered, of the", "" },
	{ STORE_E_SESSION, 400, "a session is not there, of the", "" },
	{ STORE_E_SESSION_ENDED, 409, "its session has ended: it takes no new",
	  "" },
};

static void api_store_failure(struct api_call *call, int r,
			      const struct store_result *result)
{
	const char *why = result && result->message ? result->message
						    : strerror(-r);

	log_write(LOG_LEVEL_ERROR, call->caller.who, call->trace_id,
		  "the store failed: %s", why);
	/* A script is not told where the backend keeps its data. */
	if (call->caller.kind != AUTH_ADMIN)
		why = r == -ENOSPC ? "the backend's disk is full"
				   : "the backend's store failed";
	if (r == -ENOSPC)
		api_problem(call, 507, "disk_full",
			    "nothing was stored: %s; make room on the disk of "
			    "the data directory and try again",
			    why);
	else if (r == -EINPROGRESS)
		api_problem(call, 503, "outcome_unknown",
			    "the connection to the database was lost: what "
			    "was asked for has happened or not; look, or "
			    "repeat it with the same Idempotency-Key");
	else
		api_problem(call, 503, "store_failed",
			    r == -EIO && call->caller.kind == AUTH_ADMIN
				    ? "the store failed: %s"
				    : "nothing was stored: %s; try again",
			    why);
}

void api_store_problem(struct api_call *call, int r,
		       const struct store_result *result, const char *what)
{
	if (r < 0) {
		api_store_failure(call, r, result);
		return;
	}
	if (r == STORE_E_ENDED && call->caller.kind == AUTH_EXECUTION) {
		api_problem(call, 401, "execution_ended",
			    "the execution has ended, and its token with it");
		return;
	}
	if (r == STORE_E_NOT_FOUND && result && result->message) {
		api_problem(call, 404, store_outcome_name(r), "%s",
			    result->message);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(api_outcomes); i++)
		if (api_outcomes[i].outcome == r) {
			api_problem(call, api_outcomes[i].status,
				    store_outcome_name(r), "%s %s%s",
				    api_outcomes[i].before, what,
				    api_outcomes[i].after);
			return;
		}
	api_problem(call, 500, "internal",
		    "unexpected outcome %d of the store for %s", r, what);
}

static void on_pending(int r, const struct store_result *result, void *ctx)
{
	struct api_pending *p = ctx;

	if (p->call)
		p->call->pending = NULL;
	p->fn(p->b, p->call, r, result);
	free(p);
}

bool api_done_always(struct api_call *call, api_always_fn fn,
		     struct store_done *out)
{
	struct api_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		api_start(call, -ENOMEM);
		return false;
	}
	*p = (struct api_pending){ call->b, call, fn };
	call->pending = p;
	*out = (struct store_done){ NULL, on_pending, p };
	return true;
}

void api_start(struct api_call *call, int r)
{
	if (r) {
		free(call->pending);
		call->pending = NULL;
	}
	if (r == -EAGAIN)
		api_problem(call, 503, "busy",
			    "the store has too much to do; try again");
	else if (r)
		api_store_failure(call, r, NULL);
}

struct store_audit api_audit(const struct api_call *call, const char *action,
			     const char *target)
{
	const struct live_token *t = call->caller.token;

	return (struct store_audit){
		.who = call->caller.who,
		.action = action,
		.target = target,
		.job = t ? t->claims.job : NULL,
		.execution = t ? t->claims.subject : NULL,
		.trace_id = call->trace_id,
	};
}

/* --- requests ------------------------------------------------------------ */

json_t *api_body_object(struct api_call *call, const uint8_t *body, size_t len)
{
	char err[256];
	json_t *o;

	if (len == 0)
		return json_object();
	o = json_parse_object(body, len, err, sizeof(err));
	if (!o)
		api_problem(call, 400, "invalid_json", "the body: %s", err);
	return o;
}

bool api_query_str(struct api_call *call, const char *name, char *out,
		   size_t size)
{
	if (http_query_get(call->req->query, name, out, size) >= 0)
		return true;
	api_problem(call, 400, "invalid_query",
		    "the query parameter %s is not well-formed", name);
	return false;
}

bool api_query_int(struct api_call *call, const char *name, int64_t min,
		   int64_t max, int64_t def, int64_t *out)
{
	char text[32], *end;
	long long value;

	if (!api_query_str(call, name, text, sizeof(text)))
		return false;
	*out = def;
	if (!*text)
		return true;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || value < min || value > max) {
		api_problem(call, 400, "invalid_query",
			    "%s must be a number from %lld to %lld, not "
			    "\"%s\"",
			    name, (long long)min, (long long)max, text);
		return false;
	}
	*out = value;
	return true;
}

bool api_idempotency_key(struct api_call *call, const char **out)
{
	*out = http_request_header(call->req, "idempotency-key");
	if (!*out || (**out && strlen(*out) <= API_IDEMPOTENCY_KEY_MAX_BYTES))
		return true;
	api_problem(call, 400, "invalid_idempotency_key",
		    "Idempotency-Key must be 1 to %d bytes",
		    API_IDEMPOTENCY_KEY_MAX_BYTES);
	return false;
}
