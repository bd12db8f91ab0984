/* Hosts for the executor ssh, for people and the CLI. */
#include <errno.h>

#include "backend/api.h"
#include "backend/api_handlers.h"
#include "backend/host_spec.h"
#include "backend/store_host.h"
#include "common/json.h"

/* --- reading ------------------------------------------------------------- */

static void on_hosts(int r, const struct store_result *result, void *ctx)
{
	json_t *hosts = json_array();

	if (r) {
		json_decref(hosts);
		api_store_problem(ctx, r, result, "host");
		return;
	}
	for (size_t i = 0; i < result->hosts.n; i++)
		json_array_append_new(hosts,
				      host_json(&result->hosts.items[i]));
	api_reply_json(ctx, 200, json_pack("{s:o}", "hosts", hosts));
}

API_HANDLER(api_host_list)
{
	struct api_call *call = ctx;

	api_start(call,
		  store_host_list(call->b->store, api_done(call, on_hosts)));
}

static void on_host(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "host");
	else
		api_reply_json(ctx, result->created ? 201 : 200,
			       host_json(&result->host));
}

API_HANDLER(api_host_get)
{
	struct api_call *call = ctx;

	api_start(call, store_host_get(call->b->store, api_param(call, "name"),
				       api_done(call, on_host)));
}

/* --- writing ------------------------------------------------------------- */

static void host_put(struct api_call *call, const json_t *members,
		     struct buf *why)
{
	const char *name = api_param(call, "name");
	struct store_host_put put = {
		.audit = api_audit(call, "host.put", name),
	};
	int r = host_spec_parse(name, members, &put.host, why);

	if (r == 0)
		api_start(call, store_host_put(call->b->store, &put,
					       api_done(call, on_host)));
	else if (r < 0 || !buf_cstr(why))
		api_start(call, -ENOMEM);
	else
		api_problem(call, 400, "invalid_host", "%s", buf_cstr(why));
}

static void on_host_body(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	_cleanup_json_ json_t *members = api_body_object(data, body, len);
	_cleanup_(buf_deinit) struct buf why = { 0 };

	if (members)
		host_put(data, members, &why);
}

API_HANDLER(api_host_put)
{
	http_exchange_collect(ex, API_BODY_SMALL_BYTES, on_host_body);
}

static void on_host_deleted(int r, const struct store_result *result, void *ctx)
{
	if (r)
		api_store_problem(ctx, r, result, "host");
	else
		api_reply_empty(ctx, 204);
}

API_HANDLER(api_host_delete)
{
	struct api_call *call = ctx;
	const struct store_host_delete del = {
		.name = api_param(call, "name"),
		.audit = api_audit(call, "host.delete",
				   api_param(call, "name")),
	};

	api_start(call, store_host_delete(call->b->store, &del,
					  api_done(call, on_host_deleted)));
}
