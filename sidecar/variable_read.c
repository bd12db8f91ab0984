#include "sidecar/variable_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "common/clock.h"
#include "sidecar/cache.h"
#include "sidecar/changes.h"
#include "sidecar/control.h"
#include "sidecar/execution.h"
#include "sidecar/flight.h"
#include "sidecar/forward.h"
#include "sidecar/request.h"

/* One call to the backend, and those who wait for its answer. */
struct variable_read {
	LIST_ENTRY(variable_read) link;
	struct execution *execution;
	struct flight *flight;
	struct forward forward;
	/* A secret that is held back until it is masked. */
	struct buf secret;
	uint64_t version;
};

struct waiter {
	struct flight_waiter link;
	struct execution *execution;
	struct reply reply;
	bool has_etag; /* If-None-Match: */
	uint64_t etag;
};

/* What to tell: a value of the backend or of the cache. */
struct answer {
	const void *value;
	size_t len;
	uint64_t version;
	uint64_t age_ms;
	const char *etag;
	const char *cache;
};

/* --- telling -------------------------------------------------------------- */

static void tell_value(struct reply *reply, const struct answer *a,
		       bool not_modified)
{
	char age[24];
	const struct http_header headers[] = {
		{ "Content-Type", "application/json" },
		{ "ETag", a->etag },
		{ "X-Cronium-Cache", a->cache },
		{ "Age", age },
	};

	snprintf(age, sizeof(age), "%" PRIu64, a->age_ms / 1000);
	if (not_modified)
		reply_send(reply, 304, headers + 1, ARRAY_SIZE(headers) - 1,
			   NULL, 0);
	else
		reply_send(reply, 200, headers, ARRAY_SIZE(headers), a->value,
			   a->len);
}

static void tell_absent(struct reply *reply, const char *key, const char *cache)
{
	const struct http_header header = { "X-Cronium-Cache", cache };

	reply_problem_with(reply, 404, "variable_not_found", &header,
			   "there is no variable \"%s\"; set it with PUT, or "
			   "with \"cronium vars set\"",
			   key);
}

static void tell_masking(struct reply *reply)
{
	reply_problem(reply, 503, "redaction_unavailable",
		      "the secret cannot be masked in the job's log now, so "
		      "it is not told; try again in a moment");
}

static void tell_view(struct reply *reply, const struct cache_view *v,
		      const char *key, const char *cache, bool has_etag,
		      uint64_t etag)
{
	const struct answer a = {
		.value = v->value,
		.len = v->len,
		.version = v->version,
		.age_ms = v->age_ms,
		.etag = v->etag,
		.cache = cache,
	};

	if (v->present)
		tell_value(reply, &a, has_etag && etag == v->version);
	else
		tell_absent(reply, key, cache);
}

/* --- ending a flight ------------------------------------------------------ */

static void waiter_free(struct waiter *w)
{
	limits_end(&w->execution->limits, 0);
	free(w);
}

static struct waiter *next_waiter(struct variable_read *r)
{
	return (struct waiter *)flight_next(r->flight);
}

/* Everybody was told. */
static void variable_read_free(struct variable_read *r)
{
	struct waiter *w;

	while ((w = next_waiter(r)))
		waiter_free(w);
	LIST_REMOVE(r, link);
	forward_cancel(&r->forward);
	flight_free(&r->execution->flights, r->flight);
	buf_deinit_secret(&r->secret);
	free(r);
}

void variable_read_free_all(struct execution *x)
{
	struct variable_read *r;
	struct waiter *w;

	while ((r = LIST_FIRST(&x->reads))) {
		while ((w = next_waiter(r))) {
			reply_draining(&w->reply);
			waiter_free(w);
		}
		variable_read_free(r);
	}
}

/* Nobody joins any more. True when the answer may be cached: then what becomes
 * of it is to be heard of. */
static bool land(struct variable_read *r)
{
	bool current = flight_is_current(r->flight);

	changes_want(&r->execution->changes);
	if (current)
		flight_detach(&r->execution->flights, flight_key(r->flight));
	return current;
}

static void finish_value(struct variable_read *r, const void *value, size_t len,
			 bool secret)
{
	char etag[CACHE_ETAG_BYTES];
	const struct answer a = {
		.value = value,
		.len = len,
		.version = r->version,
		.etag = etag,
		.cache = "miss",
	};
	struct waiter *w;

	snprintf(etag, sizeof(etag), "\"%" PRIu64 "\"", r->version);
	if (land(r))
		cache_store(r->execution->cache, flight_key(r->flight), value,
			    len, r->version, secret, clock_mono_ms());
	while ((w = next_waiter(r))) {
		tell_value(&w->reply, &a, w->has_etag && w->etag == a.version);
		waiter_free(w);
	}
	variable_read_free(r);
}

static void finish_absent(struct variable_read *r)
{
	const char *key = flight_key(r->flight);
	struct waiter *w;

	if (land(r))
		cache_store_absent(r->execution->cache, key, clock_mono_ms());
	while ((w = next_waiter(r))) {
		tell_absent(&w->reply, key, "miss");
		waiter_free(w);
	}
	variable_read_free(r);
}

/* As opposed to a refusal, which is to be heard. */
static bool is_outage(const struct backend_response *a)
{
	return a->error != BACKEND_OK || a->status >= 500 || a->status == 429;
}

/* A value of before, where there is one, else what went wrong. */
static void finish_failed(struct variable_read *r,
			  const struct backend_response *answer)
{
	const char *key = flight_key(r->flight);
	struct cache_view v;
	struct waiter *w;
	bool stale = is_outage(answer) &&
		     cache_lookup(r->execution->cache, key, clock_mono_ms(),
				  &v) &&
		     v.present;

	land(r);
	while ((w = next_waiter(r))) {
		if (stale) {
			r->execution->metrics->cache[METRICS_STALE]++;
			tell_view(&w->reply, &v, key, "stale", w->has_etag,
				  w->etag);
		} else if (answer->error != BACKEND_OK) {
			forward_reply_error(&w->reply, answer, false);
		} else {
			forward_reply(&w->reply, answer, "miss");
		}
		waiter_free(w);
	}
	variable_read_free(r);
}

/* --- secrets -------------------------------------------------------------- */

static void finish_unmasked(struct variable_read *r)
{
	struct waiter *w;

	land(r);
	while ((w = next_waiter(r))) {
		tell_masking(&w->reply);
		waiter_free(w);
	}
	variable_read_free(r);
}

static void on_redacted(bool masked, void *ctx)
{
	struct variable_read *r = ctx;

	if (!masked) {
		finish_unmasked(r);
		return;
	}
	r->execution->metrics->redactions++;
	finish_value(r, r->secret.data, r->secret.len, true);
}

/* Each version of a secret is announced once; the cache remembers only what
 * was. */
static bool is_masked(const struct variable_read *r)
{
	struct cache_view v;

	return cache_lookup(r->execution->cache, flight_key(r->flight),
			    clock_mono_ms(), &v) &&
	       v.present && v.secret && v.version == r->version;
}

static void finish_secret(struct variable_read *r, const void *value,
			  size_t len)
{
	if (is_masked(r))
		finish_value(r, value, len, true);
	else if (buf_append(&r->secret, value, len) < 0 ||
		 control_redact(r->execution->control, r->secret.data,
				r->secret.len, on_redacted, r) < 0)
		finish_unmasked(r);
}

/* --- asking --------------------------------------------------------------- */

static void on_answer(struct forward *f, const struct backend_response *a)
{
	struct variable_read *r = CONTAINER_OF(f, struct variable_read,
					       forward);
	const char *etag = backend_response_header(a, "etag");

	if (a->error == BACKEND_OK && a->status == 404)
		finish_absent(r);
	else if (a->error != BACKEND_OK || a->status != 200 || !etag ||
		 cache_parse_etag(etag, &r->version) < 0)
		finish_failed(r, a);
	else if (forward_is_secret(a))
		finish_secret(r, a->body, a->body_len);
	else
		finish_value(r, a->body, a->body_len, false);
}

static int start(struct variable_read *r, const struct request *req,
		 bool stale_at_hand)
{
	char path[FORWARD_PATH_BYTES];
	const struct forward_request ask = {
		.method = "GET",
		.path = path,
		.trace = req->reply.trace,
		.deadline_ms = stale_at_hand ? FORWARD_STALE_MS
					     : FORWARD_READ_MS,
	};

	forward_variable_path(path, flight_key(r->flight), "");
	r->forward.on_done = on_answer;
	return forward_start(&r->forward, req->execution, &ask);
}

static struct flight *depart(const struct request *req, const char *key,
			     bool stale_at_hand)
{
	struct execution *x = req->execution;
	struct variable_read *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->execution = x;
	r->flight = flight_new(&x->flights, key);
	if (!r->flight) {
		free(r);
		return NULL;
	}
	LIST_INSERT_HEAD(&x->reads, r, link);
	if (start(r, req, stale_at_hand) < 0) {
		variable_read_free(r);
		return NULL;
	}
	return r->flight;
}

/* If-None-Match: the version that the script has. */
static bool take_known_etag(const struct http_request *http, uint64_t *etag)
{
	const char *match = http_request_header(http, "if-none-match");

	*etag = 0;
	return match && !cache_parse_etag(match, etag);
}

/* The script went away: the call goes on, for the others and for the cache. */
static void on_close(struct http_exchange *ex, void *data)
{
	struct waiter *w = data;

	flight_leave(&w->link);
	waiter_free(w);
}

static void wait_for(struct flight *f, struct request *req, struct waiter *w)
{
	w->execution = req->execution;
	w->reply = req->reply;
	w->has_etag = take_known_etag(req->http, &w->etag);
	flight_join(f, &w->link);
	http_exchange_set_data(w->reply.ex, w);
	http_exchange_on_close(w->reply.ex, on_close);
}

static void ask_backend(struct request *req, const char *key,
			bool stale_at_hand)
{
	struct limits *limits = &req->execution->limits;
	struct waiter *w = calloc(1, sizeof(*w));
	struct flight *f;

	if (!w || !limits_begin(limits, 0)) {
		free(w);
		reply_busy(&req->reply, limits->in_flight);
		return;
	}
	f = flight_find(&req->execution->flights, key);
	if (!f && !execution_admit(req->execution, RATE_FORWARD, &req->reply)) {
		limits_end(limits, 0);
		free(w);
		return;
	}
	if (!f)
		f = depart(req, key, stale_at_hand);
	if (!f) {
		limits_end(limits, 0);
		free(w);
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the sidecar is out of memory; try again");
		return;
	}
	wait_for(f, req, w);
}

/* Cache-Control: no-cache asks for what the backend has now. */
static bool wants_fresh(const struct http_request *http)
{
	const char *control = http_request_header(http, "cache-control");

	return control && strstr(control, "no-cache");
}

void variable_read(struct request *req, const char *key)
{
	struct metrics *metrics = req->execution->metrics;
	struct cache_view v;
	uint64_t etag;
	bool has_etag, known = cache_lookup(req->execution->cache, key,
					    clock_mono_ms(), &v);

	if (known && v.fresh && !wants_fresh(req->http)) {
		has_etag = take_known_etag(req->http, &etag);
		metrics->cache[METRICS_HIT]++;
		tell_view(&req->reply, &v, key, "hit", has_etag, etag);
		return;
	}
	metrics->cache[METRICS_MISS]++;
	ask_backend(req, key, known && v.present);
}
