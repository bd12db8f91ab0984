/* A call from its note in the store to its outcome: tries, pauses, the
 * reply. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backend/live.h"
#include "backend/store_admin.h"
#include "backend/store_tool.h"
#include "backend/tool_call_impl.h"
#include "backend/tool_mask.h"
#include "backend/tool_registry.h"
#include "backend/tool_request.h"
#include "backend/tool_schema.h"
#include "backend/tool_send.h"
#include "backend/tool_template.h"
#include "backend/tool_violations.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define CALL_EXCERPT_BYTES \
	300 /* of a reply that is an error, in its sentence */
#define CALL_DOUBLINGS_MAX 30

static void call_send(struct tool_call *c);

/* --- the outcome ---------------------------------------------------------- */

static struct store_audit call_audit(const struct tool_call *c,
				     const char *action, const char *result)
{
	const struct token_claims *claims = c->token ? &c->token->claims : NULL;

	return (struct store_audit){
		.who = c->who,
		.action = action,
		.target = c->target,
		.result = result,
		.job = claims ? claims->job : NULL,
		.execution = claims ? claims->subject : NULL,
		.trace_id = c->trace_id,
	};
}

/* What was done is told even where it could not be noted. */
static void on_finished(int r, const struct store_result *result, void *ctx)
{
	struct tool_call *c = ctx;

	if (r)
		log_error(c->trace_id, "the outcome of %s was not stored: %s",
			  c->target,
			  result->message ? result->message : strerror(-r));
	tool_call_end(c);
}

/* status 0: nothing was done, as if it had never begun. */
static void call_finish_as(struct tool_call *c, int status)
{
	const struct store_done done = { &c->owner, on_finished, c };
	struct store_tool_finish finish = {
		.status = status,
		.reply = { c->reply.body.data, c->reply.body.len },
		.audit = call_audit(c, "tool.call", c->reply.code),
	};
	int r;

	tool_call_set_state(c, TOOL_CALL_FINISHING);
	if (tool_call_is_recorded(c)) {
		finish.execution = c->token->claims.subject;
		finish.idempotency_key = c->idempotency_key;
		r = store_tool_finish(c->tools->b->store, &finish, done);
	} else {
		r = store_audit_append(c->tools->b->store, &finish.audit, done);
	}
	if (r) {
		log_error(c->trace_id, "the outcome of %s was not stored: %s",
			  c->target, strerror(-r));
		tool_call_end(c);
	}
}

static void call_finish(struct tool_call *c)
{
	call_finish_as(c, c->reply.status);
}

/* A problem with the target's status, where there is one; the text is
 * masked. */
static void call_fail(struct tool_call *c, int status, const char *code,
		      int upstream_status, const char *text)
{
	_cleanup_(buf_deinit) struct buf masked = { 0 };
	_cleanup_json_ json_t *members = NULL;

	if (upstream_status)
		members = json_pack("{s:i}", "upstream_status",
				    upstream_status);
	if (tool_mask_text(c->mask, text, strlen(text), &masked) ||
	    !buf_cstr(&masked))
		tool_reply_problem(&c->reply, 503, "out_of_memory", c->trace_id,
				   NULL, "the backend is out of memory");
	else
		tool_reply_problem(&c->reply, status, code, c->trace_id,
				   members, "%s: %s", c->target,
				   (char *)masked.data);
	call_finish(c);
}

/* --- a reply -------------------------------------------------------------- */

static json_t *body_text(const struct buf *body)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };

	if (json_append_string(&text, body->len ? (char *)body->data : "",
			       body->len))
		return NULL;
	return json_loadb((char *)text.data, text.len,
			  JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* JSON where it says so and is, else text. */
static json_t *body_json(const struct tool_sent *sent)
{
	const char *type = json_get_str(sent->headers, "content-type", "");
	json_t *v = NULL;

	if (sent->body->len && strcasestr(type, "json"))
		v = json_loadb((char *)sent->body->data, sent->body->len,
			       JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	return v ? v : body_text(sent->body);
}

static json_t *call_response(const struct tool_call *c,
			     const struct tool_sent *sent)
{
	const struct tool_email *e = &c->rendered->email;

	if (c->rendered->kind == TOOL_REQUEST_HTTP)
		return json_pack("{s:i,s:O,s:o}", "status", sent->status,
				 "headers", sent->headers, "body",
				 body_json(sent));
	return json_pack("{s:i,s:{},s:{s:s,s:i}}", "status", sent->status,
			 "headers", "body", "message_id", c->message_id,
			 "recipients", (int)(e->n_to + e->n_cc + e->n_bcc));
}

static void call_succeed(struct tool_call *c, const json_t *response)
{
	_cleanup_json_ json_t *params =
		json_loadb((const char *)c->params_text.data,
			   c->params_text.len, JSON_DECODE_ANY, NULL);
	const struct tool_template_values values = {
		.params = params,
		.context = c->context,
		.idempotency_key = c->idempotency_key,
		.response = response,
	};
	_cleanup_json_ json_t *value = NULL, *masked = NULL;
	struct tool_violations v = { 0 };
	int r = params ? tool_action_result(c->action, &values, &v, &value)
		       : -ENOMEM;

	if (!r)
		masked = tool_mask_json(c->mask, value);
	tool_violations_deinit(&v);
	if (r || !masked) {
		call_fail(c, 424, "tool_failed",
			  (int)json_get_int(response, "status", 0),
			  "it was done, but the reply is too much to make the "
			  "result of");
		return;
	}
	tool_reply_value(&c->reply, masked);
	call_finish(c);
}

/* "the target answered 404: no such channel" */
static void call_fail_answer(struct tool_call *c, const struct tool_sent *sent,
			     const char *reason)
{
	bool is_mail = c->rendered->kind == TOOL_REQUEST_EMAIL;
	_cleanup_(buf_deinit) struct buf text = { 0 };
	size_t n = MIN(sent->body->len, CALL_EXCERPT_BYTES);
	int r;

	if (is_mail)
		r = buf_printf(&text, "the mail server answered %d: %s",
			       sent->status, sent->error);
	else
		r = buf_printf(&text, "the target answered %d%s%s%s%.*s",
			       sent->status, reason ? ", but " : "",
			       reason ? reason : "", n ? ": " : "", (int)n,
			       n ? (char *)sent->body->data : "");
	call_fail(c, 424, "tool_failed", sent->status,
		  !r && buf_cstr(&text) ? (char *)text.data
					: "the target refused it");
}

/* --- tries ---------------------------------------------------------------- */

static bool call_answer_is_success(const struct tool_call *c,
				   const struct tool_sent *sent,
				   const json_t *response, const char **reason)
{
	*reason = NULL;
	if (c->rendered->kind == TOOL_REQUEST_EMAIL)
		return sent->status < 400;
	return tool_action_succeeded(c->action, response, reason);
}

/* Whether another try can do no harm: the target has seen nothing, says that it
 * did nothing, or does not mind. */
static bool call_may_retry(const struct tool_call *c,
			   const struct tool_sent *sent)
{
	bool idempotent = c->rendered->idempotent;

	switch (sent->result) {
	case TOOL_SEND_NOT_SENT:
		return true;
	case TOOL_SEND_BROKEN:
		return idempotent;
	case TOOL_SEND_ANSWERED:
		if (c->rendered->kind == TOOL_REQUEST_EMAIL)
			return sent->status >= 400 && sent->status < 500;
		return tool_retry_on(&c->action->retry, idempotent,
				     sent->status) &&
		       (idempotent || sent->status == 429 ||
			sent->status == 503);
	default:
		return false;
	}
}

/* Full jitter: anything from 0 to what has doubled with each try, so that many
 * callers do not come back at once. */
static int64_t call_backoff_ms(const struct tool_call *c)
{
	const struct tool_retry *r = &c->action->retry;
	unsigned int n = MIN(c->tries - 1, CALL_DOUBLINGS_MAX);
	int64_t most = MIN(r->initial_ms << n, r->max_ms);
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return most;
	return most > 0 ? (int64_t)(random % (uint64_t)(most + 1)) : 0;
}

static void on_pause_end(evutil_socket_t fd UNUSED, short what UNUSED,
			 void *ctx)
{
	call_send(ctx);
}

/* False: no time is left for another try. */
static bool call_pause(struct tool_call *c, const struct tool_sent *sent)
{
	int64_t left = c->action->retry.max_elapsed_ms -
		       (int64_t)(clock_mono_ms() - c->first_try_ms);
	int64_t wait = call_backoff_ms(c);
	struct timeval tv;

	wait = MAX(wait, sent->retry_after_ms);
	if (wait >= left || c->tools->stopping)
		return false;
	if (!c->timer)
		c->timer = evtimer_new(c->tools->b->base, on_pause_end, c);
	tv = clock_timeval((uint64_t)wait);
	if (!c->timer || event_add(c->timer, &tv))
		return false;
	tool_call_set_state(c, TOOL_CALL_PAUSED);
	return true;
}

static void call_fail_sent(struct tool_call *c, const struct tool_sent *sent)
{
	static const char unknown[] = "; whether it was done is not known";
	bool broken = sent->result == TOOL_SEND_BROKEN;
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "%s%s", sent->error, broken ? unknown : "") < 0)
		text = NULL;
	if (sent->result == TOOL_SEND_REFUSED)
		call_fail(c, 403, "target_refused", 0,
			  text ? text : "the target is not allowed");
	else
		call_fail(c, 424,
			  sent->timed_out ? "tool_timed_out" : "tool_failed",
			  sent->status, text ? text : "it was not done");
}

static void on_sent(const struct tool_sent *sent, void *ctx)
{
	struct tool_call *c = ctx;
	bool answered = sent->result == TOOL_SEND_ANSWERED;
	_cleanup_json_ json_t *response = NULL;
	const char *reason = NULL;

	c->send = NULL;
	if (answered) {
		response = call_response(c, sent);
		if (!response)
			call_fail(c, 424, "tool_failed", sent->status,
				  "it was answered, but the backend is out of "
				  "memory");
		else if (call_answer_is_success(c, sent, response, &reason))
			call_succeed(c, response);
		else if (!call_may_retry(c, sent) || !call_pause(c, sent))
			call_fail_answer(c, sent, reason);
	} else if (!call_may_retry(c, sent) || !call_pause(c, sent)) {
		call_fail_sent(c, sent);
	}
}

static void call_send(struct tool_call *c)
{
	char traceparent[TRACE_PARENT_BYTES];
	const struct tool_send_options options = {
		.timeout_ms = c->action->timeout_ms,
		.redirects = c->action->follow_redirects,
		.traceparent = traceparent,
		.idempotency_key = c->idempotency_key,
		.message_id = c->message_id,
	};
	int r;

	trace_parent(c->trace_id, traceparent);
	tool_call_set_state(c, TOOL_CALL_SENDING);
	if (!c->tries++)
		c->first_try_ms = clock_mono_ms();
	r = tool_send_start(c->tools->sender, c->rendered, &options, on_sent, c,
			    &c->send);
	if (r)
		call_fail(c, 424, "tool_failed", 0,
			  r == -EINVAL ? "its URL has no host, or an address "
					 "of the mail is none"
				       : "nothing was sent: the backend is "
					 "out of memory");
}

/* What is idempotent stays begun and is sent again when it is asked for. */
void tool_call_give_up(struct tool_call *c)
{
	event_del(c->timer);
	tool_reply_problem(&c->reply, 503, "backend_stopping", c->trace_id,
			   NULL,
			   "%s was not done yet, and the backend is being "
			   "stopped; try again",
			   c->target);
	if (c->rendered->idempotent)
		tool_call_end(c);
	else
		call_finish_as(c, 0);
}

/* --- the note in the store ------------------------------------------------ */

static void on_begun(int r, const struct store_result *result, void *ctx)
{
	struct tool_call *c = ctx;

	if (r) {
		tool_call_store_failed(c, r, result);
	} else if (result->repeated && result->tool.status) {
		tool_reply_stored(&c->reply, result->tool.status,
				  result->tool.reply.data,
				  result->tool.reply.len);
		tool_call_end(c);
	} else if (result->repeated && !c->rendered->idempotent) {
		tool_call_refuse(c, 409, "outcome_unknown", NULL,
				 "%s was begun with this Idempotency-Key "
				 "before, and the backend died before it knew "
				 "the outcome: look at the target, then call "
				 "with another key if it was not done",
				 c->target);
	} else {
		call_send(c);
	}
}

void tool_call_begin(struct tool_call *c)
{
	struct store_tool_begin begin = {
		.idempotency_key = c->idempotency_key,
		.request = { c->identity.data, c->identity.len },
		.audit = call_audit(c, "tool.begin", NULL),
	};
	int r;

	if (!tool_call_is_recorded(c)) {
		call_send(c);
		return;
	}
	begin.execution = c->token->claims.subject;
	tool_call_set_state(c, TOOL_CALL_BEGINNING);
	r = store_tool_begin(c->tools->b->store, &begin,
			     (struct store_done){ &c->owner, on_begun, c });
	if (r)
		tool_call_store_failed(c, r, NULL);
}
