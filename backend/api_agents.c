/* What orchestrators call: claims, heartbeats, and how executions go. */
#include <errno.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/agent_status.h"
#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/complete_body.h"
#include "backend/job_change.h"
#include "backend/job_json.h"
#include "backend/queue.h"
#include "backend/store_queue.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/log.h"

#define API_WHY_BYTES 256

/* --- GET /v1/agents/{name}/claims ---------------------------------------- */

static void on_claims_end(struct api_call *call)
{
	if (call->state)
		queue_disconnect(call->b->queue, call->state,
				 "the claim stream broke");
}

static void on_claims_drain(struct http_exchange *ex, void *data)
{
	struct api_call *call = data;

	if (call->state)
		queue_drained(call->b->queue, call->state);
}

static bool executors_valid(const char *list)
{
	return *list &&
	       strspn(list, "abcdefghijklmnopqrstuvwxyz,") == strlen(list);
}

/* What the query of a claim stream says. */
struct claims_query {
	char executors[EXECUTOR_LIST_MAX_BYTES];
	char labels[AGENT_LABELS_MAX_BYTES]; /* normal form */
	int64_t slots;
};

/* False after having answered. */
static bool claims_query_labels(struct api_call *call,
				char out[AGENT_LABELS_MAX_BYTES])
{
	char text[AGENT_LABELS_MAX_BYTES], why[API_WHY_BYTES];

	if (!api_query_str(call, "labels", text, sizeof(text)))
		return false;
	if (!agent_labels_parse(text, out, why, sizeof(why)))
		return true;
	api_problem(call, 400, "invalid_agent", "labels: %s", why);
	return false;
}

/* False after having answered. */
static bool claims_query_parse(struct api_call *call, struct claims_query *q)
{
	if (!api_query_int(call, "slots", 1, AGENT_SLOTS_MAX, 1, &q->slots) ||
	    !api_query_str(call, "executors", q->executors,
			   sizeof(q->executors)) ||
	    !claims_query_labels(call, q->labels))
		return false;
	if (agent_name_valid(api_param(call, "name")) &&
	    executors_valid(q->executors))
		return true;
	api_problem(call, 400, "invalid_agent",
		    "an agent has a name of " AGENT_NAME_RULE
		    " and says ?executors=docker,sandbox");
	return false;
}

static void claims_open(struct api_call *call)
{
	struct claims_query query;
	struct agent_hello hello;
	struct agent *a;

	if (!claims_query_parse(call, &query))
		return;
	hello = (struct agent_hello){ api_param(call, "name"), query.executors,
				      query.labels, (size_t)query.slots };
	http_exchange_on_drain(call->ex, on_claims_drain);
	api_stream_start(call, FRAME_CONTENT_TYPE);
	a = queue_connect(call->b->queue, call, &hello);
	if (!a) {
		api_stream_abort(call);
		return;
	}
	call->state = a;
	call->on_end = on_claims_end;
}

API_HANDLER(api_agent_claims)
{
	struct api_call *call = ctx;

	if (call->req->method == HTTP_HEAD)
		api_problem(call, 405, "method_not_allowed",
			    "a claim stream is something to read");
	else if (call->b->draining)
		api_problem(call, 503, "stopping", "the backend is stopping");
	else
		claims_open(call);
}

/* --- POST /v1/agents/{name}/heartbeat ------------------------------------ */

static json_t *stops_json(const struct store_result *result)
{
	json_t *cancel = json_array();

	for (size_t i = 0; i < result->heartbeat.n_cancel; i++) {
		const struct store_stop *s = &result->heartbeat.cancel[i];

		json_array_append_new(cancel, json_pack("{s:s,s:s?}", "id",
							s->execution, "reason",
							s->reason));
	}
	return cancel;
}

static json_t *lost_json(const struct store_result *result)
{
	json_t *lost = json_array();

	for (size_t i = 0; i < result->heartbeat.n_lost; i++)
		json_array_append_new(lost,
				      json_string(result->heartbeat.lost[i]));
	return lost;
}

static void on_heartbeat(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, "heartbeat");
	else
		api_reply_json(call, 200,
			       json_pack("{s:I,s:o,s:o}", "lease_ms",
					 (json_int_t)call->b->config->lease_ms,
					 "cancel", stops_json(result), "lost",
					 lost_json(result)));
}

/* Borrowed from the array, which is malformed when *n is -1. */
static struct store_lease *leases_parse(const json_t *array, ssize_t *n)
{
	size_t i, size = json_array_size(array);
	struct store_lease *leases = calloc(size + 1, sizeof(*leases));
	json_t *item;

	*n = json_is_array(array) && size <= STORE_HEARTBEAT_MAX && leases
		     ? (ssize_t)size
		     : -1;
	json_array_foreach(array, i, item) {
		if (*n < 0)
			break;
		leases[i].execution = json_get_str(item, "id", NULL);
		leases[i].epoch = json_get_int(item, "epoch", 0);
		if (!leases[i].execution)
			*n = -1;
	}
	return leases;
}

/* What it says of itself; true unless that was answered. */
static bool heartbeat_status(struct api_call *call, struct agent *a,
			     const json_t *body, struct agent_status *status)
{
	struct agent_usage *unknown = NULL;
	char why[API_WHY_BYTES];
	int r = agent_status_parse(status, json_object_get(body, "status"),
				   a ? &a->usage : &unknown, clock_wall_ms(),
				   why, sizeof(why));

	agent_usage_free(unknown);
	if (r == -EINVAL)
		api_problem(call, 400, "invalid_heartbeat", "%s", why);
	else if (r)
		api_start(call, r);
	else if (a && status->stored.given)
		queue_agent_accepts(call->b->queue, a, &status->stored);
	return r == 0;
}

/* store_queue_heartbeat() or store_queue_recover(). */
typedef int heartbeat_fn(struct store *s, const struct store_heartbeat *h,
			 struct store_done done);

static void heartbeat(struct api_call *call, const json_t *body,
		      heartbeat_fn *tell, api_store_fn done)
{
	const char *name = api_param(call, "name");
	const json_t *executions = json_object_get(body, "executions");
	struct agent *a = queue_agent(call->b->queue, name);
	_cleanup_(agent_status_deinit) struct agent_status status = { 0 };
	ssize_t n;
	_cleanup_free_ struct store_lease *leases = leases_parse(executions,
								 &n);
	struct store_heartbeat request = {
		.agent = name,
		.leases = leases,
		.n = n < 0 ? 0 : (size_t)n,
		.lease_ms = (int64_t)call->b->config->lease_ms,
	};

	if (n < 0 || !agent_name_valid(name)) {
		api_problem(call, 400, "invalid_heartbeat",
			    "send {\"executions\":[{\"id\",\"epoch\"}]}, at "
			    "most %d",
			    STORE_HEARTBEAT_MAX);
		return;
	}
	if (!heartbeat_status(call, a, body, &status))
		return;
	request.status = status.stored;
	if (a)
		a->heard_ms = clock_wall_ms();
	api_start(call, tell(call->b->store, &request, api_done(call, done)));
}

static void on_heartbeat_body(struct http_exchange *ex, const uint8_t *body,
			      size_t len, void *data)
{
	_cleanup_json_ json_t *o = api_body_object(data, body, len);

	if (o)
		heartbeat(data, o, store_queue_heartbeat, on_heartbeat);
}

API_HANDLER(api_agent_heartbeat)
{
	http_exchange_collect(ex, 4 * API_BODY_SMALL_BYTES, on_heartbeat_body);
}

/* --- POST /v1/agents/{name}/recover --------------------------------------- */

static void on_recovered(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r == 0)
		queue_expire_now(call->b->queue);
	on_heartbeat(r, result, call);
}

static void on_recover_body(struct http_exchange *ex, const uint8_t *body,
			    size_t len, void *data)
{
	_cleanup_json_ json_t *o = api_body_object(data, body, len);

	if (o)
		heartbeat(data, o, store_queue_recover, on_recovered);
}

API_HANDLER(api_agent_recover)
{
	http_exchange_collect(ex, 4 * API_BODY_SMALL_BYTES, on_recover_body);
}

/* --- POST /v1/executions/{id}/… ------------------------------------------ */

/* The lease that the body speaks of; NULL: answered. */
static json_t *lease_body(struct api_call *call, const uint8_t *body,
			  size_t len, struct store_lease *lease)
{
	json_t *o = api_body_object(call, body, len);

	if (!o)
		return NULL;
	lease->execution = api_param(call, "id");
	lease->epoch = json_get_int(o, "epoch", 0);
	if (lease->epoch > 0)
		return o;
	json_decref(o);
	api_problem(call, 400, "invalid_epoch",
		    "\"epoch\" must be the number given with the claim");
	return NULL;
}

static void on_changed(struct backend *b, struct api_call *call, int r,
		       const struct store_result *result)
{
	if (r == 0 && !result->repeated)
		job_changed(b, &result->job);
	if (!call)
		return;
	if (r == STORE_E_STATE)
		api_problem(call, 409, "job_started",
			    "the job was started: it can only be completed");
	else if (r)
		api_store_problem(call, r, result, api_param(call, "id"));
	else
		api_reply_json(call, 200, job_json(&result->job, NULL));
}

static void on_started_body(struct http_exchange *ex, const uint8_t *body,
			    size_t len, void *data)
{
	struct api_call *call = data;
	struct store_started started = { 0 };
	_cleanup_json_ json_t *o = lease_body(call, body, len, &started.lease);
	struct store_done done;

	if (!o || !api_done_always(call, on_changed, &done))
		return;
	started.pod = json_get_str(o, "pod", NULL);
	started.executor = json_get_str(o, "executor", NULL);
	api_start(call, store_queue_started(call->b->store, &started, done));
}

API_HANDLER(api_execution_started)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_started_body);
}

static void on_release_body(struct http_exchange *ex, const uint8_t *body,
			    size_t len, void *data)
{
	struct api_call *call = data;
	struct store_give_back give = { 0 };
	_cleanup_json_ json_t *o = lease_body(call, body, len, &give.lease);
	struct store_done done;

	if (!o || !api_done_always(call, on_changed, &done))
		return;
	give.unbegun = json_is_false(json_object_get(o, "begun"));
	log_info(give.lease.execution, "given back: %s",
		 json_get_str(o, "reason", "no reason given"));
	api_start(call, store_queue_give_back(call->b->store, &give, done));
}

API_HANDLER(api_execution_release)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_release_body);
}

static void on_complete_body(struct http_exchange *ex, const uint8_t *body,
			     size_t len, void *data)
{
	struct api_call *call = data;
	struct store_complete c = { 0 };
	_cleanup_(buf_deinit) struct buf telemetry = { 0 };
	_cleanup_json_ json_t *o = lease_body(call, body, len, &c.lease);
	char why[COMPLETE_WHY_BYTES];
	struct store_done done;
	const char *code;
	int r;

	if (!o)
		return;
	r = complete_body_parse(o, &c, &telemetry, &code, why);
	if (r == -EINVAL)
		api_problem(call, 400, code, "%s", why);
	else if (r)
		api_start(call, r);
	else if (api_done_always(call, on_changed, &done))
		api_start(call, store_queue_complete(call->b->store, &c, done));
}

API_HANDLER(api_execution_complete)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_complete_body);
}
