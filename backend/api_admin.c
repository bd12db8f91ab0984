/* For whoever runs the service: audit log, API keys, health. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/change_hub.h"
#include "backend/live.h"
#include "backend/metrics.h"
#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "common/id.h"
#include "common/json.h"

/* --- audit --------------------------------------------------------------- */

static json_t *audit_json(const struct store_audit_entry *e)
{
	return json_pack("{s:I,s:I,s:s,s:s,s:s?,s:s?,s:s?,s:s?,s:s?}", "id",
			 (json_int_t)e->id, "at_ms", (json_int_t)e->at_ms,
			 "who", e->entry.who, "action", e->entry.action,
			 "target", e->entry.target, "result", e->entry.result,
			 "job", e->entry.job, "execution", e->entry.execution,
			 "trace_id", e->entry.trace_id);
}

static void on_audit(int r, const struct store_result *result, void *ctx)
{
	json_t *entries = json_array();
	json_t *next = NULL;

	if (r) {
		json_decref(entries);
		api_store_problem(ctx, r, result, "audit entry");
		return;
	}
	for (size_t i = 0; i < result->audit.n; i++)
		json_array_append_new(entries,
				      audit_json(&result->audit.items[i]));
	if (result->audit.more && result->audit.n)
		next = json_integer(
			result->audit.items[result->audit.n - 1].id);
	api_reply_json(ctx, 200,
		       json_pack("{s:o,s:o}", "entries", entries, "next",
				 next ? next : json_null()));
}

API_HANDLER(api_audit_list)
{
	struct api_call *call = ctx;
	struct store_audit_query query = { 0 };
	char execution[ID_MAX_BYTES], job[ID_MAX_BYTES];
	int64_t limit;

	if (!api_query_int(call, "limit", 1, STORE_LIST_MAX, API_LIST_DEFAULT,
			   &limit) ||
	    !api_query_int(call, "before", 1, INT64_MAX, 0, &query.before) ||
	    !api_query_str(call, "execution", execution, sizeof(execution)) ||
	    !api_query_str(call, "job", job, sizeof(job)))
		return;
	if (*execution && *job) {
		api_problem(call, 400, "invalid_query",
			    "an execution is of one job: ask for one of them");
		return;
	}
	query.limit = (size_t)limit;
	query.execution = *execution ? execution : NULL;
	query.job = *job ? job : NULL;
	api_start(call, store_audit_list(call->b->store, &query,
					 api_done(call, on_audit)));
}

/* --- API keys ------------------------------------------------------------ */

static void on_keys(int r, const struct store_result *result, void *ctx)
{
	json_t *keys = json_array();

	if (r) {
		json_decref(keys);
		api_store_problem(ctx, r, result, "API key");
		return;
	}
	for (size_t i = 0; i < result->api_keys.n; i++) {
		const struct store_api_key *k = &result->api_keys.items[i];

		json_array_append_new(
			keys,
			json_pack("{s:s,s:s,s:I,s:I}", "id", k->id, "name",
				  k->name, "created_ms",
				  (json_int_t)k->created_ms, "last_used_ms",
				  (json_int_t)k->last_used_ms));
	}
	api_reply_json(ctx, 200, json_pack("{s:o}", "keys", keys));
}

API_HANDLER(api_key_list)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_api_key_list(call->b->store, api_done(call, on_keys)));
}

/* A key that is being stored: it is shown once, when it is. */
struct key_creation {
	char id[ID_MAX_BYTES];
	char name[AUTH_KEY_NAME_MAX_BYTES + 1];
	char key[AUTH_KEY_BYTES];
	struct store_api_key stored;
};

static void on_creation_end(struct api_call *call)
{
	explicit_bzero(call->state, sizeof(struct key_creation));
	free(call->state);
}

static void on_key_created(int r, const struct store_result *result, void *ctx)
{
	struct api_call *call = ctx;
	const struct key_creation *c = call->state;

	if (r)
		api_store_problem(call, r, result, "API key");
	else if (auth_key_add(call->b->auth, &c->stored))
		api_start(call, -ENOMEM);
	else
		api_reply_json(call, 201,
			       json_pack("{s:s,s:s,s:s}", "id", c->id, "name",
					 c->name, "key", c->key));
}

static void key_create(struct api_call *call, const char *name)
{
	struct key_creation *c = calloc(1, sizeof(*c));
	struct store_api_key_new add;

	if (!c || auth_key_generate(c->key)) {
		free(c);
		api_start(call, -ENOMEM);
		return;
	}
	call->state = c;
	call->on_end = on_creation_end;
	id_new("key", c->id);
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->stored.id = c->id;
	c->stored.name = c->name;
	if (token_digest(c->key, strlen(c->key), c->stored.hash)) {
		api_start(call, -ENOMEM);
		return;
	}
	add.key = c->stored;
	add.audit = api_audit(call, "api-key.create", c->id);
	api_start(call, store_api_key_add(call->b->store, &add,
					  api_done(call, on_key_created)));
}

static void on_key_body(struct http_exchange *ex, const uint8_t *body,
			size_t len, void *data)
{
	struct api_call *call = data;
	_cleanup_json_ json_t *o = api_body_object(call, body, len);
	const char *name = json_get_str(o, "name", "");

	if (!o)
		return;
	if (*name && strlen(name) <= AUTH_KEY_NAME_MAX_BYTES)
		key_create(call, name);
	else
		api_problem(call, 400, "invalid_name",
			    "\"name\" must be 1 to %d bytes: what the key is "
			    "for",
			    AUTH_KEY_NAME_MAX_BYTES);
}

API_HANDLER(api_key_create)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_key_body);
}

static void on_key_deleted(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "API key of this id");
	else
		api_reply_empty(ctx, 204);
}

API_HANDLER(api_key_delete)
{
	struct api_call *call = ctx;
	const struct store_api_key_delete del = {
		.id = api_param(call, "id"),
		.audit = api_audit(call, "api-key.delete",
				   api_param(call, "id")),
	};

	/* At once, also if the store should fail: refusing is the safe side,
	 * and the caller is told. */
	auth_key_remove(call->b->auth, del.id);
	api_start(call, store_api_key_delete(call->b->store, &del,
					     api_done(call, on_key_deleted)));
}

/* --- health -------------------------------------------------------------- */

API_HANDLER(api_healthz)
{
	struct api_call *call = ctx;
	struct store_stats store;

	/* Asks nobody: what waits for the database can be told why. */
	store_get_stats(call->b->store, &store);
	api_reply_json(call, 200,
		       json_pack("{s:s, s:s*}", "status", "ok", "store",
				 store.away ? "away" : NULL));
}

static void on_ready(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "store");
	else
		api_reply_json(ctx, 200, json_pack("{s:s}", "status", "ok"));
}

API_HANDLER(api_readyz)
{
	struct api_call *call = ctx;
	struct store_stats store;

	store_get_stats(call->b->store, &store);
	if (call->b->draining)
		api_problem(call, 503, "stopping", "the backend is stopping");
	else if (store.failed)
		api_problem(call, 503, "store_failed", "%s", store.failed);
	else
		api_start(call, store_job_count(call->b->store,
						api_done(call, on_ready)));
}

static int render_store(const struct backend *b, struct buf *out)
{
	struct store_stats s;
	struct http_server_stats http;

	store_get_stats(b->store, &s);
	http_server_get_stats(b->server, &http);
	return buf_printf(out,
			  "# TYPE cronium_store_commits_total counter\n"
			  "cronium_store_commits_total %llu\n"
			  "# TYPE cronium_store_calls_total counter\n"
			  "cronium_store_calls_total %llu\n"
			  "# TYPE cronium_store_queue_calls gauge\n"
			  "cronium_store_queue_calls %zu\n"
			  "# TYPE cronium_store_queue_bytes gauge\n"
			  "cronium_store_queue_bytes %zu\n"
			  "# TYPE cronium_http_connections gauge\n"
			  "cronium_http_connections %u\n"
			  "# TYPE cronium_executions_live gauge\n"
			  "cronium_executions_live %zu\n"
			  "# TYPE cronium_change_streams gauge\n"
			  "cronium_change_streams %zu\n",
			  (unsigned long long)s.commits_total,
			  (unsigned long long)s.calls_total, s.queued_calls,
			  s.queued_bytes, http.connections_open,
			  live_count(b->live), change_hub_count(b->changes));
}

static int render_jobs(const int64_t counts[JOB_STATES], struct buf *out)
{
	int r = buf_append_str(out, "# HELP cronium_jobs Jobs by state.\n"
				    "# TYPE cronium_jobs gauge\n");

	for (int i = 0; i < JOB_STATES && !r; i++)
		r = buf_printf(out, "cronium_jobs{state=\"%s\"} %lld\n",
			       job_state_name((enum job_state)i),
			       (long long)counts[i]);
	return r;
}

static void on_counts(int r, const struct store_result *result, void *ctx)
{
	static const struct http_header headers[] = {
		{ "content-type", "text/plain; version=0.0.4" },
	};
	struct api_call *call = ctx;
	struct buf text = { 0 };

	/* Metrics matter most when the store fails: then without its part. */
	if (!r)
		r = render_jobs(result->counts, &text);
	r = metrics_render(call->b->metrics, &text);
	if (!r)
		r = render_store(call->b, &text);
	if (r)
		api_start(call, r);
	else
		api_reply(call, 200, headers, ARRAY_SIZE(headers), text.data,
			  text.len);
	buf_deinit(&text);
}

API_HANDLER(api_metrics)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_job_count(call->b->store, api_done(call, on_counts)));
}
