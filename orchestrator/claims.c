#include "orchestrator/claims.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/agent_labels.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/log.h"
#include "orchestrator/assignment.h"

struct claims {
	struct event_base *base;
	struct backend_client *client;
	char *path;
	struct backend_call *call; /* NULL: waits to reconnect */
	struct event *timer;       /* silence, or the next attempt */
	uint32_t retry_ms;
	int status;
	bool said_lost; /* an outage is logged once */
	struct frame_decoder in;
	struct assignment *partial; /* its SCRIPT and INPUT are to come */
	bool has_script;
	char partial_why[256]; /* why partial cannot be run; "" */
	const struct claims_ops *ops;
	void *ctx;
};

static void claims_connect(struct claims *c);

static void claims_set_timer(struct claims *c, uint32_t ms)
{
	const struct timeval t = clock_timeval(ms);

	evtimer_add(c->timer, &t);
}

/* Ends the stream, if there is one, and makes the next one later. */
static void claims_reconnect(struct claims *c, const char *why)
{
	if (!c->said_lost)
		log_warn(NULL, "claim stream: %s; reconnecting", why);
	c->said_lost = true;
	if (c->call)
		backend_call_cancel(c->call);
	c->call = NULL;
	claims_set_timer(c, c->retry_ms);
	c->retry_ms = MIN(c->retry_ms * 2, CLAIMS_RETRY_MAX_MS);
}

/* --- frames --------------------------------------------------------------- */

static int claims_take_assign(struct claims *c, const struct frame *f)
{
	int r;

	assignment_free(c->partial);
	c->partial = NULL;
	c->has_script = false;
	c->partial_why[0] = '\0';
	r = assignment_new(&c->partial, f->payload, f->len, c->partial_why,
			   sizeof(c->partial_why));
	if (r < 0 && !c->partial)
		log_error(NULL, "claim stream: %s", c->partial_why);
	return r < 0 && !c->partial ? r : 0;
}

static int claims_take_script(struct claims *c, const struct frame *f)
{
	if (!c->partial || c->has_script)
		return -EPROTO;
	c->has_script = true;
	return buf_append(&c->partial->script, f->payload, f->len);
}

static int claims_take_input(struct claims *c, const struct frame *f)
{
	struct assignment *a = c->partial;
	int r;

	if (!a || !c->has_script)
		return -EPROTO;
	r = buf_append(&a->input, f->payload, f->len);
	if (r < 0)
		return r;
	c->partial = NULL;
	c->ops->on_assignment(c->ctx, a,
			      *c->partial_why ? c->partial_why : NULL);
	return 0;
}

static int claims_take_cancel(struct claims *c, const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);

	if (!o)
		return -EPROTO;
	c->ops->on_cancel(c->ctx, json_get_str(o, "execution", ""),
			  json_get_int(o, "epoch", -1),
			  json_get_str(o, "reason", "cancelled"));
	return 0;
}

static int claims_take_event(struct claims *c, const struct frame *f)
{
	_cleanup_json_ json_t *o = NULL;
	char err[128];

	o = json_parse_object(f->payload, f->len, err, sizeof(err));
	if (!o)
		return -EPROTO;
	c->ops->on_event(c->ctx, json_get_str(o, "type", ""), o);
	return 0;
}

static int claims_take(struct claims *c, const struct frame *f)
{
	switch (f->type) {
	case FRAME_ASSIGN:
		return claims_take_assign(c, f);
	case FRAME_SCRIPT:
		return claims_take_script(c, f);
	case FRAME_INPUT:
		return claims_take_input(c, f);
	case FRAME_CANCEL:
		return claims_take_cancel(c, f);
	case FRAME_EVENT:
		return claims_take_event(c, f);
	default: /* HEARTBEAT, or of a newer backend */
		return 0;
	}
}

/* --- the call ------------------------------------------------------------- */

static void claims_on_headers(struct backend_call *call,
			      const struct backend_response *r, void *ctx)
{
	struct claims *c = ctx;

	c->status = r->status;
	if (r->status != 200)
		return;
	log_info(NULL, "claim stream is open");
	c->said_lost = false;
	c->retry_ms = CLAIMS_RETRY_MIN_MS;
	c->ops->on_open(c->ctx);
}

static void claims_on_data(struct backend_call *call, const uint8_t *data,
			   size_t len, void *ctx)
{
	struct claims *c = ctx;
	struct frame f;
	int r;

	if (c->status != 200)
		return;
	claims_set_timer(c, CLAIMS_SILENT_BEATS * FRAME_HEARTBEAT_MS);
	r = frame_decoder_feed(&c->in, data, len);
	while (!r) {
		r = frame_decoder_next(&c->in, &f);
		if (!r)
			r = claims_take(c, &f);
	}
	if (r != FRAME_E_AGAIN)
		claims_reconnect(c, "the backend broke the protocol");
}

static void claims_on_done(struct backend_call *call,
			   const struct backend_response *r, void *ctx)
{
	struct claims *c = ctx;
	char why[128];

	c->call = NULL;
	if (r->error)
		snprintf(why, sizeof(why), "%s", r->detail);
	else if (c->status == 401 || c->status == 403)
		snprintf(why, sizeof(why),
			 "the backend refuses the API key (status %d); see "
			 "--api-key-file",
			 c->status);
	else
		snprintf(why, sizeof(why), "the backend ended it (status %d)",
			 c->status);
	claims_reconnect(c, why);
}

static void claims_connect(struct claims *c)
{
	static const struct backend_call_ops ops = {
		.on_headers = claims_on_headers,
		.on_data = claims_on_data,
		.on_done = claims_on_done,
	};
	const struct backend_header headers[] = {
		{ "accept", FRAME_CONTENT_TYPE },
	};
	const struct backend_request req = {
		.method = "GET",
		.path = c->path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.retry = BACKEND_RETRY_NEVER,
	};

	/* What an older stream left half-way is claimed anew. */
	frame_decoder_deinit(&c->in);
	c->in = (struct frame_decoder){ 0 };
	assignment_free(c->partial);
	c->partial = NULL;
	c->status = 0;
	if (backend_client_call(c->client, &req, &ops, c, &c->call) < 0) {
		c->call = NULL;
		claims_reconnect(c, "out of memory");
		return;
	}
	claims_set_timer(c, CLAIMS_SILENT_BEATS * FRAME_HEARTBEAT_MS);
}

static void claims_on_timer(int fd, short what, void *ctx)
{
	struct claims *c = ctx;

	if (c->call)
		claims_reconnect(c, "the backend fell silent");
	else
		claims_connect(c);
}

int claims_new(struct claims **out, const struct claims_config *config,
	       const struct claims_ops *ops, void *ctx)
{
	struct claims *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->base = config->base;
	c->client = config->client;
	c->retry_ms = CLAIMS_RETRY_MIN_MS;
	c->ops = ops;
	c->ctx = ctx;
	c->timer = evtimer_new(config->base, claims_on_timer, c);
	if (asprintf(&c->path, "/v1/agents/%s/claims?slots=%u&executors=%s%s%s",
		     config->name, config->slots, config->executors,
		     *config->labels ? "&labels=" : "", config->labels) < 0)
		c->path = NULL;
	if (!c->timer || !c->path) {
		claims_free(c);
		return -ENOMEM;
	}
	claims_connect(c);
	*out = c;
	return 0;
}

void claims_free(struct claims *c)
{
	if (!c)
		return;
	if (c->call)
		backend_call_cancel(c->call);
	if (c->timer)
		event_free(c->timer);
	frame_decoder_deinit(&c->in);
	assignment_free(c->partial);
	free(c->path);
	free(c);
}
