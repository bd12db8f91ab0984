/* Sessions, for people and the CLI. */
#include <errno.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/session_change.h"
#include "backend/store_session.h"
#include "common/id.h"
#include "common/json.h"

static json_t *session_json(const struct store_session *s)
{
	return json_pack("{s:s,s:s,s:s,s:s?,s:I,s:I,s:{s:I,s:I,s:I}}", "id",
			 s->id, "name", s->name, "state",
			 session_state_name(s->state), "reason", s->reason,
			 "created_ms", (json_int_t)s->created_ms, "ended_ms",
			 (json_int_t)s->ended_ms, "jobs", "queued",
			 (json_int_t)s->queued, "running",
			 (json_int_t)s->running, "ended", (json_int_t)s->ended);
}

/* --- reading ------------------------------------------------------------- */

static void on_sessions(int r, const struct store_result *result, void *ctx)
{
	json_t *sessions = json_array();
	const char *next = NULL;

	if (r) {
		json_decref(sessions);
		api_store_problem(ctx, r, result, "session to go on before");
		return;
	}
	for (size_t i = 0; i < result->sessions.n; i++)
		json_array_append_new(sessions,
				      session_json(&result->sessions.items[i]));
	if (result->sessions.more && result->sessions.n)
		next = result->sessions.items[result->sessions.n - 1].id;
	api_reply_json(ctx, 200,
		       json_pack("{s:o,s:s?}", "sessions", sessions, "next",
				 next));
}

API_HANDLER(api_session_list)
{
	struct api_call *call = ctx;
	char state[16], before[ID_MAX_BYTES];
	struct store_session_query query = { .state = -1 };
	enum session_state parsed;
	int64_t limit;

	if (!api_query_int(call, "limit", 1, STORE_LIST_MAX, API_LIST_DEFAULT,
			   &limit) ||
	    !api_query_str(call, "state", state, sizeof(state)) ||
	    !api_query_str(call, "before", before, sizeof(before)))
		return;
	if (*state && session_state_parse(state, &parsed)) {
		api_problem(call, 400, "invalid_query",
			    "there is no state \"%s\" of sessions: active, "
			    "paused or ended",
			    state);
		return;
	}
	if (*state)
		query.state = (int)parsed;
	query.before = *before ? before : NULL;
	query.limit = (size_t)limit;
	api_start(call, store_session_list(call->b->store, &query,
					   api_done(call, on_sessions)));
}

static void on_session(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "session");
	else
		api_reply_json(ctx, 200, session_json(&result->session));
}

API_HANDLER(api_session_get)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_session_get(call->b->store, api_param(call, "session"),
				    api_done(call, on_session)));
}

/* --- POST /v1/sessions --------------------------------------------------- */

static void on_created(struct backend *b, struct api_call *call, int r,
		       const struct store_result *result)
{
	if (r == 0)
		session_made(b, &result->session);
	if (!call)
		return;
	if (r == STORE_E_EXISTS)
		api_problem(call, 409, "session_exists", "%s", result->message);
	else if (r)
		api_store_problem(call, r, result, "session");
	else
		api_reply_json(call, 201, session_json(&result->session));
}

static void session_create(struct api_call *call, const json_t *members)
{
	const char *name = json_get_str(members, "name", "");
	char id[ID_MAX_BYTES];
	const struct store_session_new request = {
		.id = id,
		.name = name,
		.audit = api_audit(call, "session.create", name),
	};
	struct store_done done;

	id_new(SESSION_ID_PREFIX, id);
	if (!session_name_valid(name))
		api_problem(call, 400, "invalid_session",
			    "name: must be " SESSION_NAME_RULE);
	else if (api_done_always(call, on_created, &done))
		api_start(call,
			  store_session_new(call->b->store, &request, done));
}

static void on_create_body(struct http_exchange *ex, const uint8_t *body,
			   size_t len, void *data)
{
	_cleanup_json_ json_t *members = api_body_object(data, body, len);

	if (members)
		session_create(data, members);
}

API_HANDLER(api_session_create)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_create_body);
}

/* --- POST /v1/sessions/{session}/… --------------------------------------- */

static void on_set(struct backend *b, struct api_call *call, int r,
		   const struct store_result *result)
{
	if (r == 0 && !result->repeated)
		session_changed(b, &result->session);
	if (!call)
		return;
	if (r == STORE_E_SESSION_ENDED)
		api_problem(call, 409, "session_ended", "%s", result->message);
	else if (r)
		api_store_problem(call, r, result, "session");
	else
		api_reply_json(call, 200, session_json(&result->session));
}

/* A move that somebody asks for. */
struct session_move {
	enum session_state to;
	const char *action; /* in the audit log */
};

static void session_set(struct api_call *call, const struct session_move *move,
			const char *reason)
{
	const char *session = api_param(call, "session");
	const struct store_session_set request = {
		.session = session,
		.state = move->to,
		.reason = reason,
		.audit = api_audit(call, move->action, session),
	};
	struct store_done done;

	if (reason && strlen(reason) > SESSION_REASON_MAX_BYTES)
		api_problem(call, 400, "invalid_session",
			    "reason: must be at most %d bytes",
			    SESSION_REASON_MAX_BYTES);
	else if (api_done_always(call, on_set, &done))
		api_start(call,
			  store_session_set(call->b->store, &request, done));
}

static void on_move_body(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *members = api_body_object(call, body, len);

	if (members)
		session_set(call, call->state,
			    json_get_str(members, "reason", NULL));
}

static void session_move(struct http_exchange *ex, struct api_call *call,
			 const struct session_move *move)
{
	call->state = (void *)move;
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_move_body);
}

API_HANDLER(api_session_pause)
{
	static const struct session_move pause = { SESSION_PAUSED,
						   "session.pause" };

	session_move(ex, ctx, &pause);
}

API_HANDLER(api_session_resume)
{
	static const struct session_move resume = { SESSION_ACTIVE,
						    "session.resume" };

	session_move(ex, ctx, &resume);
}

API_HANDLER(api_session_end)
{
	static const struct session_move end = { SESSION_ENDED, "session.end" };

	session_move(ex, ctx, &end);
}
