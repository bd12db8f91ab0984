#include "backend/tool_call_impl.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/live.h"
#include "backend/tool_answer.h"
#include "backend/tool_file.h"
#include "backend/tool_mask.h"
#include "backend/tool_registry.h"
#include "backend/tool_request.h"
#include "backend/tool_send.h"
#include "common/json.h"
#include "common/log.h"

/* --- states ----------------------------------------------------------------*/

#define TO(state) (1U << TOOL_CALL_##state)

static UNUSED const unsigned int tool_call_moves[] = {
	[TOOL_CALL_LOADING] = TO(CREDENTIALS) | TO(ENDED),
	[TOOL_CALL_CREDENTIALS] = TO(BEGINNING) | TO(SENDING) | TO(ENDED),
	[TOOL_CALL_BEGINNING] = TO(SENDING) | TO(ENDED),
	[TOOL_CALL_SENDING] = TO(PAUSED) | TO(FINISHING) | TO(ENDED),
	[TOOL_CALL_PAUSED] = TO(SENDING) | TO(FINISHING) | TO(ENDED),
	[TOOL_CALL_FINISHING] = TO(ENDED),
	[TOOL_CALL_ENDED] = 0,
};

void tool_call_set_state(struct tool_call *c, enum tool_call_state state)
{
	assert(tool_call_moves[c->state] & (1U << state));
	c->state = state;
}

/* --- who waits ------------------------------------------------------------ */

/* The API call ends without a reply of ours. */
static void on_api_end(struct api_call *api)
{
	struct tool_waiter *w = api->state;

	if (!w)
		return;
	LIST_REMOVE(w, entry);
	w->call->n_waiters--;
	free(w);
}

static bool waiter_add(struct tool_call *c, struct api_call *api)
{
	struct tool_waiter *w = calloc(1, sizeof(*w));

	if (!w) {
		api_start(api, -ENOMEM);
		return false;
	}
	w->api = api;
	w->call = c;
	api->state = w;
	api->on_end = on_api_end;
	LIST_INSERT_HEAD(&c->waiters, w, entry);
	c->n_waiters++;
	return true;
}

static void waiters_answer(struct tool_call *c)
{
	struct tool_waiter *w;

	while ((w = LIST_FIRST(&c->waiters))) {
		LIST_REMOVE(w, entry);
		w->api->state = NULL;
		tool_answer(w->api, &c->reply);
		free(w);
	}
}

/* --- ends ----------------------------------------------------------------- */

static void tool_call_free(struct tool_call *c)
{
	struct tool_waiter *w;

	store_owner_cancel(&c->owner);
	tool_send_cancel(c->send);
	if (c->timer)
		event_free(c->timer);
	while ((w = LIST_FIRST(&c->waiters))) {
		LIST_REMOVE(w, entry);
		w->api->state = NULL;
		free(w);
	}
	if (c->hh.tbl)
		HASH_DEL(c->tools->by_key, c);
	LIST_REMOVE(c, entry);
	c->tools->n_calls--;
	json_decref(c->params);
	buf_deinit(&c->params_text);
	json_decref(c->credentials);
	json_decref(c->context);
	tool_mask_free(c->mask);
	tool_rendered_free(c->rendered);
	tool_reply_deinit(&c->reply);
	buf_deinit_secret(&c->identity);
	live_token_unref(c->token);
	tool_entry_unref(c->tool);
	free(c);
}

void tool_call_end(struct tool_call *c)
{
	struct tools *t = c->tools;

	tool_call_set_state(c, TOOL_CALL_ENDED);
	log_info(c->trace_id, "tool=%s status=%d code=%s tries=%u", c->target,
		 c->reply.status, c->reply.code, c->tries);
	waiters_answer(c);
	tool_call_free(c);
	if (!t->n_calls && t->on_idle) {
		void (*on_idle)(void *ctx) = t->on_idle;

		t->on_idle = NULL;
		on_idle(t->ctx);
	}
}

void tool_call_refuse(struct tool_call *c, int status, const char *code,
		      const json_t *members, const char *fmt, ...)
{
	char text[TOOL_REPLY_DETAIL_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tool_reply_problem(&c->reply, status, code, c->trace_id, members, "%s",
			   text);
	tool_call_end(c);
}

void tool_call_store_failed(struct tool_call *c, int r,
			    const struct store_result *result)
{
	if (r == STORE_E_ENDED || r == STORE_E_NOT_FOUND) {
		tool_call_refuse(c, 401, "execution_ended", NULL,
				 "the execution has ended, and its token with "
				 "it");
		return;
	}
	if (r == STORE_E_KEY_REUSED) {
		tool_call_refuse(c, 422, "key_reused", NULL, "%s",
				 result->message);
		return;
	}
	log_error(c->trace_id, "the store failed: %s",
		  result && result->message ? result->message : strerror(-r));
	if (r == -ENOSPC)
		tool_call_refuse(c, 507, "disk_full", NULL,
				 "nothing was sent: the backend's disk is "
				 "full; make room and try again");
	else
		tool_call_refuse(c, 503, "store_failed", NULL,
				 "nothing was sent: the backend's store "
				 "failed; try again");
}

void tool_call_drop_all(struct tools *t)
{
	struct tool_call *c;

	while ((c = LIST_FIRST(&t->calls)))
		tool_call_free(c);
}

void tool_call_stop_waiting(struct tools *t)
{
	struct tool_call *c, *next;

	for (c = LIST_FIRST(&t->calls); c; c = next) {
		next = LIST_NEXT(c, entry);
		if (c->state == TOOL_CALL_PAUSED)
			tool_call_give_up(c);
	}
}

/* --- starting ------------------------------------------------------------- */

/* What a key is for: everything that makes a difference to the target. */
static int call_identify(struct tool_call *c,
			 const struct tool_call_request *request)
{
	char *text = json_dumps(request->given, JSON_COMPACT | JSON_SORT_KEYS |
							JSON_ENCODE_ANY);
	int r = text ? buf_printf(&c->identity, "%s\n", c->target) : -ENOMEM;

	if (!r)
		r = buf_append_str(&c->identity, text);
	free(text);
	return r;
}

static json_t *call_context(const struct tool_call *c)
{
	const struct token_claims *claims = c->token ? &c->token->claims : NULL;

	return json_pack("{s:s?,s:s?,s:s}", "job", claims ? claims->job : NULL,
			 "execution", claims ? claims->subject : NULL,
			 "trace_id", c->trace_id);
}

static int call_fill(struct tool_call *c, const struct api_call *api,
		     const struct tool_call_request *request)
{
	const char *key = request->idempotency_key;

	c->action = request->action;
	c->tool = tool_entry_ref(request->entry);
	c->dry_run = request->dry_run;
	c->params = json_incref(request->params);
	snprintf(c->target, sizeof(c->target), "%s/%s", request->entry->name,
		 request->action->name);
	snprintf(c->who, sizeof(c->who), "%s", api->caller.who);
	memcpy(c->trace_id, api->trace_id, sizeof(c->trace_id));
	if (api->caller.token)
		c->token = live_token_ref(api->caller.token);
	if (key)
		snprintf(c->idempotency_key, sizeof(c->idempotency_key), "%s",
			 key);
	else
		id_new("call", c->idempotency_key);
	if (key && c->token && !c->dry_run)
		snprintf(c->key, sizeof(c->key), "%s\n%s",
			 c->token->claims.subject, key);
	c->context = call_context(c);
	c->credentials = json_object();
	if (!c->context || !c->credentials || tool_mask_new(&c->mask))
		return -ENOMEM;
	return call_identify(c, request);
}

/* One that is under way with the same key: wait for it as well. */
static bool call_join(struct tools *t, struct tool_call *c,
		      struct api_call *api)
{
	struct tool_call *first = NULL;

	if (*c->key)
		HASH_FIND_STR(t->by_key, c->key, first);
	if (!first)
		return false;
	if (first->identity.len != c->identity.len ||
	    memcmp(first->identity.data, c->identity.data, c->identity.len))
		api_problem(api, 422, "key_reused",
			    "the Idempotency-Key %s belongs to another tool "
			    "action of this execution",
			    c->idempotency_key);
	else if (first->n_waiters >= TOOL_CALL_WAITERS_MAX)
		api_problem(api, 429, "too_many_calls",
			    "%d calls wait already for the outcome of this "
			    "one; try again later",
			    TOOL_CALL_WAITERS_MAX);
	else
		waiter_add(first, api);
	return true;
}

static size_t calls_of(const struct tools *t, const struct tool_call *c)
{
	const struct tool_call *other;
	size_t n = 0;

	LIST_FOREACH(other, &t->calls, entry)
		if (other != c && other->token && c->token &&
		    !strcmp(other->token->claims.subject,
			    c->token->claims.subject))
			n++;
	return n;
}

static bool call_admit(struct tools *t, const struct tool_call *c,
		       struct api_call *api)
{
	struct tool_reply reply = { 0 };

	if (t->stopping)
		tool_reply_problem(&reply, 503, "backend_stopping", c->trace_id,
				   NULL,
				   "nothing was sent: the backend is being "
				   "stopped; try again");
	else if (t->n_calls > TOOLS_CALLS_MAX)
		tool_reply_problem(&reply, 429, "too_many_calls", c->trace_id,
				   NULL,
				   "%d tool actions are under way, which is "
				   "the limit; try again",
				   TOOLS_CALLS_MAX);
	else if (calls_of(t, c) >= TOOLS_EXECUTION_CALLS_MAX)
		tool_reply_problem(&reply, 429, "too_many_calls", c->trace_id,
				   NULL,
				   "%d tool actions of this execution are "
				   "under way, which is the limit; wait for "
				   "one of them",
				   TOOLS_EXECUTION_CALLS_MAX);
	else
		return true;
	tool_answer(api, &reply);
	tool_reply_deinit(&reply);
	return false;
}

void tool_call_start(struct tools *t, struct api_call *api,
		     const struct tool_call_request *request)
{
	struct tool_call *c = calloc(1, sizeof(*c));

	if (!c) {
		api_start(api, -ENOMEM);
		return;
	}
	c->tools = t;
	LIST_INIT(&c->waiters);
	LIST_INSERT_HEAD(&t->calls, c, entry);
	t->n_calls++;
	if (call_fill(c, api, request)) {
		api_start(api, -ENOMEM);
		tool_call_free(c);
		return;
	}
	if (call_join(t, c, api) || !call_admit(t, c, api) ||
	    !waiter_add(c, api)) {
		tool_call_free(c);
		return;
	}
	if (*c->key)
		HASH_ADD_STR(t->by_key, key, c);
	if (*c->key && !c->hh.tbl)
		tool_call_refuse(c, 503, "out_of_memory", NULL,
				 "nothing was sent: the backend is out of "
				 "memory; try again");
	else
		tool_call_load(c);
}
