#include "orchestrator/heartbeat.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "orchestrator/report.h"

#define HEARTBEAT_LEASE_MIN_MS 300
#define HEARTBEAT_LEASE_MAX_MS 3600000

struct heartbeat {
	struct event_base *base;
	struct backend_client *client;
	char *path, *recover_path;
	struct event *timer;
	struct event *cut_off;
	struct backend_call *call; /* under way */
	bool live;                 /* the next beat is a soon one */
	bool untold;               /* there is news that no body has told */
	bool telling;              /* the body under way has it */
	bool said_lost;            /* an outage is logged once */
	struct report *recover;    /* the same */
	void (*recovered)(void *ctx);
	uint32_t lease_ms;
	const struct heartbeat_ops *ops;
	void *ctx;
};

static uint32_t heartbeat_interval_ms(const struct heartbeat *h)
{
	return h->lease_ms / HEARTBEAT_PER_LEASE;
}

static void heartbeat_arm(struct heartbeat *h)
{
	uint32_t ms = heartbeat_interval_ms(h);
	struct timeval t;

	h->live = h->ops->live(h->ctx);
	if (h->live)
		ms = MIN(ms, HEARTBEAT_LIVE_MS);
	if (h->untold)
		ms = MIN(ms, HEARTBEAT_UNTOLD_MS);
	t = clock_timeval(ms);
	event_add(h->timer, &t);
}

void heartbeat_note_live(struct heartbeat *h)
{
	if (!h->live)
		heartbeat_arm(h);
}

void heartbeat_now(struct heartbeat *h)
{
	h->untold = true;
	h->telling = false;
	if (!h->call)
		event_active(h->timer, EV_TIMEOUT, 0);
}

void heartbeat_heard(struct heartbeat *h)
{
	const struct timeval t = clock_timeval(HEARTBEAT_CUT_OFF(h->lease_ms));

	event_add(h->cut_off, &t);
}

static void heartbeat_on_cut_off(int fd, short what, void *ctx)
{
	struct heartbeat *h = ctx;

	h->ops->on_cut_off(h->ctx);
}

void heartbeat_set_lease(struct heartbeat *h, uint32_t lease_ms)
{
	uint32_t ms = MAX(lease_ms, HEARTBEAT_LEASE_MIN_MS);

	ms = MIN(ms, HEARTBEAT_LEASE_MAX_MS);
	if (ms == h->lease_ms)
		return;
	h->lease_ms = ms;
	heartbeat_arm(h);
}

static void heartbeat_read(struct heartbeat *h, const json_t *o)
{
	const json_t *item;
	size_t i;

	heartbeat_heard(h);
	json_array_foreach(json_object_get(o, "cancel"), i, item)
		h->ops->on_cancel(h->ctx, json_get_str(item, "id", ""),
				  json_get_str(item, "reason", "cancelled"));
	json_array_foreach(json_object_get(o, "lost"), i, item)
		if (json_is_string(item))
			h->ops->on_lost(h->ctx, json_string_value(item));
	heartbeat_set_lease(h,
			    (uint32_t)json_get_int(o, "lease_ms", h->lease_ms));
}

/* News that came while the call was under way goes out by the next one. */
static void heartbeat_check_told(struct heartbeat *h)
{
	if (h->telling) {
		h->telling = h->untold = false;
		h->ops->on_told(h->ctx);
	} else if (h->untold) {
		event_active(h->timer, EV_TIMEOUT, 0);
	}
}

static void heartbeat_on_done(struct backend_call *call,
			      const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct heartbeat *h = ctx;
	char err[128];

	h->call = NULL;
	if (r->error || r->status != 200) {
		if (!h->said_lost)
			log_warn(NULL, "heartbeat: %s (status %d)",
				 r->error ? r->detail : "refused", r->status);
		h->said_lost = true;
		return;
	}
	h->said_lost = false;
	heartbeat_check_told(h);
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (o)
		heartbeat_read(h, o);
	else
		log_warn(NULL, "heartbeat: the reply is no JSON object");
}

static void heartbeat_send(struct heartbeat *h, const struct buf *body)
{
	static const struct backend_call_ops ops = {
		.on_done = heartbeat_on_done,
	};
	const struct backend_header headers[] = {
		{ "content-type", "application/json" },
	};
	const struct backend_request req = {
		.method = "POST",
		.path = h->path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.body = body->data,
		.body_len = body->len,
		.deadline_ms = heartbeat_interval_ms(h),
		.retry = BACKEND_RETRY_SAFE,
	};

	if (backend_client_call(h->client, &req, &ops, h, &h->call) < 0) {
		h->call = NULL;
		log_error(NULL, "heartbeat: out of memory");
	}
}

static void heartbeat_on_timer(int fd, short what, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct heartbeat *h = ctx;
	struct buf body = { 0 };

	heartbeat_arm(h);
	if (h->call)
		return;
	o = h->ops->body(h->ctx);
	h->telling = h->untold;
	if (o && !json_append(&body, o))
		heartbeat_send(h, &body);
	else
		log_error(NULL, "heartbeat: out of memory");
	buf_deinit(&body);
}

static void heartbeat_on_recovered(const struct backend_response *r, void *ctx)
{
	_cleanup_json_ json_t *o = NULL;
	struct heartbeat *h = ctx;
	char err[128];

	h->recover = NULL;
	o = json_parse_object(r->body, r->body_len, err, sizeof(err));
	if (r->status == 200 && o)
		heartbeat_read(h, o);
	else
		log_error(NULL, "recover: %s (status %d)",
			  json_get_str(o, "detail", "refused"), r->status);
	h->recovered(h->ctx);
}

int heartbeat_recover(struct heartbeat *h, void (*done)(void *ctx))
{
	_cleanup_json_ json_t *o = NULL;
	struct buf body = { 0 };
	const struct report_request req = {
		.path = h->recover_path,
		.content_type = "application/json",
		.body = &body,
	};
	int r;

	h->recovered = done;
	o = h->ops->body(h->ctx);
	r = o ? json_append(&body, o) : -ENOMEM;
	if (!r)
		r = report_new(&h->recover, h->base, h->client, &req,
			       heartbeat_on_recovered, h);
	buf_deinit(&body);
	return r;
}

int heartbeat_new(struct heartbeat **out, struct event_base *base,
		  struct backend_client *client, const char *name,
		  const struct heartbeat_ops *ops, void *ctx)
{
	struct heartbeat *h = calloc(1, sizeof(*h));

	*out = NULL;
	if (!h)
		return -ENOMEM;
	h->base = base;
	h->client = client;
	h->lease_ms = HEARTBEAT_LEASE_MS;
	h->ops = ops;
	h->ctx = ctx;
	h->timer = evtimer_new(base, heartbeat_on_timer, h);
	h->cut_off = evtimer_new(base, heartbeat_on_cut_off, h);
	if (asprintf(&h->path, "/v1/agents/%s/heartbeat", name) < 0)
		h->path = NULL;
	if (asprintf(&h->recover_path, "/v1/agents/%s/recover", name) < 0)
		h->recover_path = NULL;
	if (!h->timer || !h->cut_off || !h->path || !h->recover_path) {
		heartbeat_free(h);
		return -ENOMEM;
	}
	heartbeat_arm(h);
	*out = h;
	return 0;
}

void heartbeat_free(struct heartbeat *h)
{
	if (!h)
		return;
	if (h->call)
		backend_call_cancel(h->call);
	report_cancel(h->recover);
	if (h->timer)
		event_free(h->timer);
	if (h->cut_off)
		event_free(h->cut_off);
	free(h->path);
	free(h->recover_path);
	free(h);
}
