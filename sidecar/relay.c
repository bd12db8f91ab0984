#include "sidecar/relay.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "sidecar/control.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"

/* COLLECTING ─▶ CALLING ─▶ REDACTING (a secret), each freed at its end. */
enum relay_state { RELAY_COLLECTING, RELAY_CALLING, RELAY_REDACTING };

struct relay {
	LIST_ENTRY(relay) link;
	enum relay_state state;
	const struct relay_spec *spec;
	struct execution *execution;
	struct reply reply;
	struct forward forward;
	uint64_t body_bytes; /* as counted by the limits */
	struct buf sent;     /* may be a secret */
	struct buf answer;   /* held back until it is masked */
	int answer_status;
	uint64_t change; /* the newest one of the key, as was heard */
	char etag[64];
	char key[]; /* NUL-terminated */
};

static void set_state(struct relay *r, enum relay_state state)
{
	assert(state == r->state + 1);
	r->state = state;
}

static void relay_free(struct relay *r)
{
	struct execution *x = r->execution;
	bool write = r->spec->write;

	LIST_REMOVE(r, link);
	forward_cancel(&r->forward);
	limits_end(&x->limits, r->body_bytes);
	buf_deinit_secret(&r->sent);
	buf_deinit_secret(&r->answer);
	free(r);
	if (write)
		execution_write_end(x);
}

struct execution *relay_execution(const struct relay *r)
{
	return r->execution;
}

const struct http_request *relay_request(const struct relay *r)
{
	return http_exchange_request(r->reply.ex);
}

const char *relay_key(const struct relay *r)
{
	return r->key;
}

void relay_note_change(struct execution *x, const char *key, uint64_t version)
{
	struct relay *r;

	LIST_FOREACH(r, &x->relays, link)
		if (!key || !strcmp(r->key, key))
			r->change = MAX(r->change, version);
}

uint64_t relay_change(const struct relay *r)
{
	return r->change;
}

const void *relay_sent(const struct relay *r, size_t *len)
{
	*len = r->sent.len;
	return r->sent.data;
}

void relay_refuse(struct relay *r, int status, const char *code,
		  const char *fmt, ...)
{
	char detail[REPLY_DETAIL_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	reply_problem(&r->reply, status, code, "%s", detail);
	relay_free(r);
}

static void break_off(struct relay *r)
{
	reply_draining(&r->reply);
	relay_free(r);
}

void relay_free_reads(struct execution *x)
{
	struct relay *r, *next;

	for (r = LIST_FIRST(&x->relays); r; r = next) {
		next = LIST_NEXT(r, link);
		if (!r->spec->write && r->state != RELAY_REDACTING)
			break_off(r);
	}
}

void relay_free_all(struct execution *x)
{
	while (!LIST_EMPTY(&x->relays))
		break_off(LIST_FIRST(&x->relays));
}

/* --- the answer ----------------------------------------------------------- */

static void send_held_back(struct relay *r)
{
	struct http_header headers[2] = {
		{ "Content-Type", "application/json" },
		{ "ETag", r->etag },
	};

	reply_send(&r->reply, r->answer_status, headers, *r->etag ? 2 : 1,
		   r->answer.data, r->answer.len);
}

static void on_redacted(bool masked, void *ctx)
{
	struct relay *r = ctx;

	if (masked) {
		r->execution->metrics->redactions++;
		send_held_back(r);
	} else {
		reply_problem(&r->reply, 503, "redaction_unavailable",
			      "the secret cannot be masked in the job's log "
			      "now, so it is not told; try again in a moment");
	}
	relay_free(r);
}

/* The reply is kept, its secret announced. */
static int hold_back(struct relay *r, const struct backend_response *a)
{
	const char *etag = backend_response_header(a, "etag");
	const struct buf *secret = r->spec->secret_in_request ? &r->sent
							      : &r->answer;

	r->answer_status = a->status;
	snprintf(r->etag, sizeof(r->etag), "%s", etag ? etag : "");
	if (buf_append(&r->answer, a->body, a->body_len) < 0)
		return -1;
	set_state(r, RELAY_REDACTING);
	return control_redact(r->execution->control, secret->data, secret->len,
			      on_redacted, r);
}

static bool has_secret(const struct relay *r, const struct backend_response *a)
{
	return a->status < 300 && forward_is_secret(a) &&
	       (r->spec->secret_in_request ? r->sent.len : a->body_len);
}

static void on_done(struct forward *f, const struct backend_response *a)
{
	struct relay *r = CONTAINER_OF(f, struct relay, forward);

	if (r->spec->on_answer)
		r->spec->on_answer(r, a);
	if (a->error != BACKEND_OK) {
		forward_reply_error(&r->reply, a, r->spec->write);
	} else if (has_secret(r, a)) {
		if (hold_back(r, a) < 0)
			on_redacted(false, r);
		return;
	} else {
		forward_reply(&r->reply, a, NULL);
	}
	relay_free(r);
}

/* --- the request ---------------------------------------------------------- */

/* What the script has sent is on its way: a write goes on without it. */
static void on_close(struct http_exchange *ex, void *data)
{
	struct relay *r = data;

	r->reply.ex = NULL;
	if (r->state == RELAY_COLLECTING ||
	    (r->state == RELAY_CALLING && !r->spec->write))
		relay_free(r);
}

static uint32_t deadline_ms(const struct relay_spec *spec)
{
	if (spec->rate == RATE_TOOLS)
		return FORWARD_TOOL_MS;
	return spec->write ? FORWARD_WRITE_MS : FORWARD_READ_MS;
}

void relay_send(struct relay *r, const char *path, const void *body, size_t len)
{
	const struct forward_request req = {
		.method = r->spec->method,
		.path = path,
		.body = body,
		.len = len,
		.trace = r->reply.trace,
		.origin = http_exchange_request(r->reply.ex),
		.deadline_ms = deadline_ms(r->spec),
		.write = r->spec->write,
		.slow = r->spec->rate == RATE_TOOLS,
	};

	set_state(r, RELAY_CALLING);
	r->forward.on_done = on_done;
	if (buf_append(&r->sent, body, len) < 0 ||
	    forward_start(&r->forward, r->execution, &req) < 0)
		relay_refuse(r, 503, "out_of_memory",
			     "the sidecar is out of memory; try again");
}

static void on_collected(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	struct relay *r = data;

	r->spec->on_body(r, body, len);
}

/* Says the limit in words where the size is known beforehand; otherwise the
 * server cuts the request off with 413. */
static bool check_length(struct request *req, uint64_t max_bytes)
{
	if (!max_bytes || req->http->content_length < 0 ||
	    (uint64_t)req->http->content_length <= max_bytes)
		return true;
	reply_problem(&req->reply, 413, "too_large",
		      "the body has %" PRId64 " bytes, and at most %" PRIu64
		      " are accepted here",
		      req->http->content_length, max_bytes);
	return false;
}

static struct relay *relay_new(struct request *req,
			       const struct relay_spec *spec, const char *key,
			       uint64_t max_body_bytes)
{
	size_t n = key ? strlen(key) : 0;
	struct relay *r = calloc(1, sizeof(*r) + n + 1);

	if (!r)
		return NULL;
	r->spec = spec;
	r->execution = req->execution;
	r->reply = req->reply;
	r->body_bytes = max_body_bytes;
	if (max_body_bytes && req->http->content_length >= 0)
		r->body_bytes = (uint64_t)req->http->content_length;
	if (n)
		memcpy(r->key, key, n);
	return r;
}

void relay_begin(struct request *req, const struct relay_spec *spec,
		 const char *key, uint64_t max_body_bytes)
{
	struct limits *limits = &req->execution->limits;
	struct relay *r;

	if (!check_length(req, max_body_bytes) ||
	    !execution_admit(req->execution, spec->rate, &req->reply))
		return;
	r = relay_new(req, spec, key, max_body_bytes);
	if (!r || !limits_begin(limits, r->body_bytes)) {
		free(r);
		reply_busy(&req->reply, limits->in_flight);
		return;
	}
	LIST_INSERT_HEAD(&req->execution->relays, r, link);
	if (spec->write)
		execution_write_begin(req->execution);
	http_exchange_set_data(r->reply.ex, r);
	http_exchange_on_close(r->reply.ex, on_close);
	if (max_body_bytes)
		http_exchange_collect(r->reply.ex, max_body_bytes,
				      on_collected);
	else
		spec->on_body(r, NULL, 0);
}
