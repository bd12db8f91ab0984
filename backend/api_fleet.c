/* Agents and their pods, for people and the CLI. */
#include <errno.h>
#include <string.h>

#include "backend/agent.h"
#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/live.h"
#include "backend/queue.h"
#include "backend/store_agent.h"
#include "backend/store_job.h"
#include "common/clock.h"
#include "common/json.h"

/* --- reading -------------------------------------------------------------- */

static json_t *blob_json(const struct store_blob *b)
{
	json_t *v = b->data ? json_loadb(b->data, b->len, 0, NULL) : NULL;

	return v ? v : json_null();
}

/* Of one that is with another backend only its beats tell. */
static bool agent_connected(const struct backend *b,
			    const struct store_agent *a)
{
	if (queue_agent(b->queue, a->name))
		return true;
	return a->backend && strcmp(a->backend, b->instance) != 0 &&
	       b->shared &&
	       a->seen_ms > clock_wall_ms() - STORE_AGENT_SILENT_MS;
}

static json_t *agent_json(const struct backend *b, const struct store_agent *a)
{
	return json_pack("{s:s,s:b,s:s,s:I,s:I,s:o,s:b,s:b,s:s?,s:s?,s:s,s:I,"
			 "s:I,s:o}",
			 "name", a->name, "connected", agent_connected(b, a),
			 "executors", a->executors, "slots",
			 (json_int_t)a->slots, "running",
			 (json_int_t)a->running, "labels",
			 agent_labels_json(a->labels), "drained", a->drained,
			 "accepting", a->accepting, "code", a->code, "problem",
			 a->problem, "address", a->address, "connected_ms",
			 (json_int_t)a->connected_ms, "seen_ms",
			 (json_int_t)a->seen_ms, "snapshot",
			 blob_json(&a->snapshot));
}

static void on_agents(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	json_t *items = json_array();

	if (r) {
		json_decref(items);
		api_store_problem(call, r, result, "agent");
		return;
	}
	for (size_t i = 0; i < result->agents.n; i++)
		json_array_append_new(
			items, agent_json(call->b, &result->agents.items[i]));
	api_reply_json(call, 200,
		       json_pack("{s:o,s:s?}", "agents", items, "problem",
				 queue_problem(call->b->queue)));
}

API_HANDLER(api_agent_list)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_agent_list(call->b->store, api_done(call, on_agents)));
}

static void on_agent(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r)
		api_store_problem(call, r, result, "agent");
	else
		api_reply_json(call, 200, agent_json(call->b, &result->agent));
}

API_HANDLER(api_agent_get)
{
	struct api_call *call = ctx;

	api_start(call, store_agent_get(call->b->store, api_param(call, "name"),
					api_done(call, on_agent)));
}

/* --- drain, forget -------------------------------------------------------- */

static void on_drained(struct backend *b, struct api_call *call, int r,
		       const struct store_result *result)
{
	if (r == 0)
		queue_agent_changed(b->queue, &result->agent);
	if (call)
		on_agent(r, result, call);
}

static void agent_drain(struct api_call *call, bool drained)
{
	const struct store_agent_drain drain = {
		.name = api_param(call, "name"),
		.drained = drained,
		.audit = api_audit(call,
				   drained ? "agent.drain" : "agent.undrain",
				   api_param(call, "name")),
	};
	struct store_done done;

	if (api_done_always(call, on_drained, &done))
		api_start(call,
			  store_agent_drain(call->b->store, &drain, done));
}

API_HANDLER(api_agent_drain)
{
	agent_drain(ctx, true);
}

API_HANDLER(api_agent_undrain)
{
	agent_drain(ctx, false);
}

static void on_forgotten(int r, const struct store_result *result, void *ctx)
{
	if (r == STORE_E_STATE)
		api_problem(ctx, 409, "agent_connected", "%s", result->message);
	else if (r)
		api_store_problem(ctx, r, result, "agent");
	else
		api_reply_empty(ctx, 204);
}

API_HANDLER(api_agent_forget)
{
	struct api_call *call = ctx;
	const char *name = api_param(call, "name");
	const struct store_agent_forget forget = {
		.name = name,
		.audit = api_audit(call, "agent.forget", name),
	};

	if (queue_agent(call->b->queue, name))
		api_problem(call, 409, "agent_connected",
			    "the agent %s is connected: stop it first, or "
			    "drain it",
			    name);
	else
		api_start(call,
			  store_agent_forget(call->b->store, &forget,
					     api_done(call, on_forgotten)));
}

/* --- GET /v1/pods --------------------------------------------------------- */

/* The call's state: jobs that are claimed or running, then what the agents
 * say of their pods. */
struct pods {
	json_t *items;    /* to be answered with */
	json_t *measured; /* by execution */
	enum job_state state;
};

static void on_pods_end(struct api_call *call)
{
	struct pods *p = call->state;

	json_decref(p->items);
	json_decref(p->measured);
	free(p);
}

static json_t *pod_json(const struct pods *p, const struct store_job *job)
{
	json_t *pod = json_pack("{s:s,s:s,s:s,s:s?,s:s,s:s,s:I,s:I}",
				"execution", job->execution, "job", job->id,
				"name", job->name, "agent", job->agent,
				"executor", job->executor, "state",
				job_state_name(job->state), "claimed_ms",
				(json_int_t)job->claimed_ms, "started_ms",
				(json_int_t)job->started_ms);
	static const char *const measures[] = { "cpu_us", "cpu_percent",
						"memory_bytes", "pids" };
	json_t *m = json_object_get(p->measured, job->execution);

	for (size_t i = 0; pod && i < ARRAY_SIZE(measures); i++) {
		json_t *v = json_object_get(m, measures[i]);

		json_object_set(pod, measures[i], v ? v : json_null());
	}
	return pod;
}

static void pods_list(struct api_call *call);

static void on_live_jobs(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	struct pods *p = call->state;

	if (r) {
		api_store_problem(call, r, result, "pod");
		return;
	}
	for (size_t i = 0; i < result->jobs.n; i++)
		json_array_append_new(p->items,
				      pod_json(p, &result->jobs.items[i]));
	if (p->state == JOB_RUNNING) {
		p->state = JOB_CLAIMED;
		pods_list(call);
		return;
	}
	api_reply_json(call, 200, json_pack("{s:O}", "pods", p->items));
}

static void pods_list(struct api_call *call)
{
	const struct pods *p = call->state;
	const struct store_job_query query = {
		.state = (int)p->state,
		.limit = STORE_LIST_MAX,
	};

	api_start(call, store_job_list(call->b->store, &query,
				       api_done(call, on_live_jobs)));
}

static void pods_measure(struct pods *p, const struct store_agent *a)
{
	_cleanup_json_ json_t *pods = blob_json(&a->pods);
	json_t *pod;
	size_t i;

	json_array_foreach(pods, i, pod)
		json_object_set(p->measured, json_get_str(pod, "execution", ""),
				pod);
}

static void on_measured(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;

	if (r) {
		api_store_problem(call, r, result, "agent");
		return;
	}
	for (size_t i = 0; i < result->agents.n; i++)
		pods_measure(call->state, &result->agents.items[i]);
	pods_list(call);
}

API_HANDLER(api_pod_list)
{
	struct api_call *call = ctx;
	struct pods *p = calloc(1, sizeof(*p));

	if (!p) {
		api_start(call, -ENOMEM);
		return;
	}
	*p = (struct pods){ json_array(), json_object(), JOB_RUNNING };
	call->state = p;
	call->on_end = on_pods_end;
	api_start(call, store_agent_list(call->b->store,
					 api_done(call, on_measured)));
}
