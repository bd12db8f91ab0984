#include "backend-client/client_state.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"

#define CLIENT_OWN_HEADERS 6

/* --- where a call stands ------------------------------------------------- */

struct backend_calls *client_list(struct backend_client *c,
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

void call_end(struct backend_call *call, enum backend_error error,
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

void call_wait(struct backend_call *call)
{
	call_move(call, CALL_WAITING);
	call->wake_ms = call->deadline_ms;
	client_watch(call->client, call->wake_ms, clock_mono_ms());
	client_schedule_turn(call->client);
}

bool call_retry(struct backend_call *call, enum retry_cause cause,
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

void call_attempt_failed(struct backend_call *call, enum retry_cause cause,
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
	const struct endpoint *to = endpoint_list_get(&c->endpoints);
	const char *scheme = endpoint_scheme(to);
	const char *authority = to->authority;
	const char *bearer_header = c->bearer_header ?: "authorization";
	size_t n = 0;

	nva[n++] = client_nv(":method", call->method, call->method_len);
	nva[n++] = client_nv(":scheme", scheme, strlen(scheme));
	nva[n++] = client_nv(":authority", authority, strlen(authority));
	nva[n++] = client_nv(":path", call->path, call->path_len);
	if (c->bearer && !call->has_authorization)
		nva[n++] = client_nv(bearer_header, c->bearer,
				     strlen(c->bearer));
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

		call->wake_ms = client_time_min(call->deadline_ms,
						now + call->attempt_timeout_ms);
		client_watch(c, call->wake_ms, now);
	}
}

void client_fail_impatient(struct backend_client *c, enum backend_error error,
			   const char *why)
{
	struct backend_call *call, *next;

	for (call = TAILQ_FIRST(&c->waiting); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call_impatient(call))
			call_end(call, error, why);
	}
}

void client_dispatch(struct backend_client *c)
{
	struct backend_call *call;

	while ((call = TAILQ_FIRST(&c->waiting))) {
		bool trial = c->breaker.state != BACKEND_CLOSED;
		uint64_t now = trial ? clock_mono_ms() : 0;

		if (trial && breaker_wait_until(&c->breaker, now)) {
			client_fail_impatient(c, BACKEND_E_BREAKER,
					      c->why[0] ? c->why : NULL);
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
