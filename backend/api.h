/*
 * One call of the API: an HTTP exchange with who makes it, the store
 * operations under way for it, and the ways to answer. A handler answers
 * exactly once; the call is gone when it has.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/auth.h"
#include "backend/backend.h"
#include "backend/store.h"
#include "common/http/problem.h"
#include "common/http/router.h"
#include "common/http/server.h"
#include "common/http/trace.h"
#include "common/macro.h"
#include "common/token.h"

#define API_IDEMPOTENCY_KEY_MAX_BYTES 128
#define API_BODY_SMALL_BYTES (64 * 1024) /* for JSON that we own */
#define API_LIST_DEFAULT 100

/* http_route.flags: what it takes to come here. */
enum api_access {
	API_PUBLIC,  /* nothing */
	API_ADMIN,   /* people and the CLI */
	API_AGENT,   /* orchestrators: administrators as well */
	API_RUNTIME, /* a backend token */
};

struct api_call {
	struct backend *b;
	struct http_exchange *ex;
	const struct http_request *req;
	const struct http_route *route;
	struct http_params params;
	struct auth_caller caller;
	char trace_id[TRACE_BYTES];
	struct store_owner owner;    /* its store operations end with it */
	struct api_pending *pending; /* and the one that does not */
	/* The handler's own. on_end (may be NULL) is called once before the
	 * call is freed, however it ends. */
	void *state;
	void (*on_end)(struct api_call *call);
};

/* The http_handler_fn of the server; ctx is the backend. */
void api_on_request(struct http_exchange *ex, void *ctx);

static inline const char *api_param(const struct api_call *call,
				    const char *name)
{
	return http_param(&call->params, name);
}

/* --- answers: the call is gone afterwards -------------------------------- */

void api_reply(struct api_call *call, int status,
	       const struct http_header *headers, size_t n, const void *body,
	       size_t len);
void api_reply_empty(struct api_call *call, int status);
/* Takes o; NULL answers 503. */
void api_reply_json(struct api_call *call, int status, json_t *o);
void api_problem(struct api_call *call, int status, const char *code,
		 const char *fmt, ...) PRINTF_LIKE(4, 5);
/* With one more member, a number. */
void api_problem_with(struct api_call *call, int status, const char *code,
		      const char *member, int64_t value, const char *fmt, ...)
	PRINTF_LIKE(6, 7);
/* With two. */
void api_problem_two(struct api_call *call, int status, const char *code,
		     const struct http_problem_member members[2],
		     const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Whether an execution's token has the scope; false: answered 403. */
bool api_in_scope(struct api_call *call, enum token_scope scope,
		  const char *name);
/* For what a store callback was given in r; what is the object's name. */
void api_store_problem(struct api_call *call, int r,
		       const struct store_result *result, const char *what);
/* A streamed reply: the call lives until api_stream_end() or on_end. */
void api_stream_start(struct api_call *call, const char *content_type);
/* With one more header. */
void api_stream_start_with(struct api_call *call, const char *content_type,
			   const char *name, const char *value);
void api_stream_end(struct api_call *call);
void api_stream_abort(struct api_call *call);

/* --- the store ----------------------------------------------------------- */

typedef void (*api_store_fn)(int r, const struct store_result *result,
			     void *call);

static inline struct store_done api_done(struct api_call *call, api_store_fn fn)
{
	return (struct store_done){ &call->owner, fn, call };
}

/*
 * For writes that the backend must hear of even when the peer has left: fn is
 * called in any case, with call == NULL if so. One at a time for a call.
 */
typedef void (*api_always_fn)(struct backend *b, struct api_call *call, int r,
			      const struct store_result *result);
bool api_done_always(struct api_call *call, api_always_fn fn,
		     struct store_done *out);

/* r is what a store function returned: answers 503 unless it is 0. */
void api_start(struct api_call *call, int r);

/* An audit entry about this caller. */
struct store_audit api_audit(const struct api_call *call, const char *action,
			     const char *target);

/* --- requests: on failure these have answered with 400 -------------------- */

/* The body as an object; {} when it is empty. NULL: answered. */
json_t *api_body_object(struct api_call *call, const uint8_t *body, size_t len);
/* Query parameter as a number. */
bool api_query_int(struct api_call *call, const char *name, int64_t min,
		   int64_t max, int64_t def, int64_t *out);
/* Query parameter into out, "" when absent. */
bool api_query_str(struct api_call *call, const char *name, char *out,
		   size_t size);
/* Idempotency-Key, NULL when absent. */
bool api_idempotency_key(struct api_call *call, const char **out);
