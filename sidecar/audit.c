#include "sidecar/audit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "sidecar/execution.h"
#include "sidecar/request.h"

static const struct {
	const char *action, *code;
} reasons[AUDIT_REASONS] = {
	{ "token.refused", "token_missing" },
	{ "token.refused", "token_invalid" },
	{ "token.refused", "token_expired" },
	{ "token.refused", "token_revoked" },
	{ "call.refused", "scope_missing" },
	{ "call.refused", "key_forbidden" },
	{ "call.refused", "read_only" },
};

static bool is_busy(const struct audit *a)
{
	return a->call || evtimer_pending(&a->timer, NULL);
}

static void set_timer(struct audit *a, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(&a->timer, &tv);
}

static void on_done(struct backend_call *call, const struct backend_response *r,
		    void *ctx)
{
	struct audit *a = ctx;
	struct metrics *m = a->execution->metrics;

	a->call = NULL;
	set_timer(a, AUDIT_PAUSE_MS);
	if (r->error == BACKEND_OK && r->status < 300) {
		m->audited_ok++;
		return;
	}
	m->audited_failed++;
	execution_log(
		a->execution, LOG_LEVEL_WARN,
		"a refusal is not in the audit log: the backend answers %d %s",
		r->status, r->detail ? r->detail : "");
}

static int append_body(struct buf *out, size_t reason,
		       const struct audit_entry *e)
{
	int r = buf_printf(out, "{\"action\":\"%s\",\"code\":\"%s\"",
			   reasons[reason].action, reasons[reason].code);

	if (!r && *e->target) {
		r = buf_append_str(out, ",\"target\":");
		if (!r)
			r = json_append_string(out, e->target,
					       strlen(e->target));
	}
	return r ? r : buf_append_str(out, "}");
}

static int send_entry(struct audit *a, size_t reason)
{
	static const struct backend_call_ops ops = { .on_done = on_done };
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char traceparent[TRACE_PARENT_BYTES];
	const struct backend_header headers[] = {
		{ "traceparent", traceparent },
		{ "content-type", "application/json" },
	};
	struct backend_request req = {
		.method = "POST",
		.path = "/v1/runtime/audit",
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.deadline_ms = AUDIT_DEADLINE_MS,
		/* Twice would be once too often. */
		.retry = BACKEND_RETRY_UNSENT,
	};
	int r = append_body(&body, reason, &a->entries[reason]);

	if (r)
		return r;
	trace_parent(a->entries[reason].trace, traceparent);
	req.body = body.data;
	req.body_len = body.len;
	return backend_client_call(a->execution->backend, &req, &ops, a,
				   &a->call);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct audit *a = arg;
	size_t i = 0;

	while (i < AUDIT_REASONS && !a->entries[i].waits)
		i++;
	if (i == AUDIT_REASONS)
		return;
	a->entries[i].waits = false;
	if (send_entry(a, i) < 0) {
		a->execution->metrics->audited_failed++;
		set_timer(a, AUDIT_PAUSE_MS);
	}
}

void audit_init(struct audit *a, struct execution *x)
{
	a->execution = x;
	event_assign(&a->timer, x->base, -1, 0, on_timer, a);
}

void audit_deinit(struct audit *a)
{
	if (!a->execution)
		return;
	if (a->call)
		backend_call_cancel(a->call);
	a->call = NULL;
	event_del(&a->timer);
}

static struct audit_entry *find(struct audit *a, const char *code)
{
	for (size_t i = 0; i < AUDIT_REASONS; i++)
		if (!strcmp(reasons[i].code, code))
			return &a->entries[i];
	return NULL;
}

/* A script may ask for what can be nobody's name; the log has no room for
 * it. */
static bool is_name(const char *s)
{
	return !s[strspn(s,
			 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789_.:/-")];
}

void audit_refusal(const struct request *req, const char *code,
		   const char *target)
{
	struct audit *a = &req->execution->audit;
	struct audit_entry *e = find(a, code);

	assert(e);
	if (!e || e->waits)
		return;
	e->waits = true;
	memcpy(e->trace, req->reply.trace, sizeof(e->trace));
	snprintf(e->target, sizeof(e->target), "%s",
		 target && is_name(target) ? target : "");
	if (!is_busy(a))
		set_timer(a, 0);
}
