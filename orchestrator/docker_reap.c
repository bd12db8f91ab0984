#include "orchestrator/docker_reap.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/log.h"
#include "orchestrator/docker_api.h"
#include "orchestrator/docker_spec.h"

#define DOCKER_REAP_TIMEOUT_MS 60000

void docker_label_filter(const char *instance, const char *more,
			 char out[DOCKER_LABEL_FILTER_BYTES])
{
	char json[DOCKER_LABEL_FILTER_JSON_BYTES];

	snprintf(json, sizeof(json), "{\"label\":[\"%s=%s\"]%s}",
		 DOCKER_LABEL_INSTANCE, instance, more);
	percent_encode(json, out);
}

static void docker_reap_list(struct docker_reap *reap);

static void docker_reap_end(struct docker_reap *reap)
{
	if (reap->calls)
		return;
	if (!reap->networks) {
		reap->networks = true;
		docker_reap_list(reap);
	} else if (reap->again) {
		reap->again = reap->networks = false;
		docker_reap_list(reap);
	} else {
		reap->running = false;
		reap->ops->on_done(reap->ctx);
	}
}

static void docker_reap_on_deleted(void *ctx, const struct docker_reply *reply)
{
	struct docker_reap *reap = ctx;

	if (reply->error && reply->status != 404)
		log_warn("docker", "cannot remove a leftover: %s",
			 reply->error);
	reap->calls--;
	docker_reap_end(reap);
}

static void docker_reap_delete(struct docker_reap *reap, const json_t *item)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_reap_on_deleted,
	};
	const json_t *labels = json_object_get(item, "Labels");
	const char *id = json_get_str(item, "Id", "");
	_cleanup_free_ char *path = NULL;

	if (reap->ops->spares(reap->ctx,
			      json_get_str(labels, "cronium.pod", "")) ||
	    asprintf(&path, "/%s/%s%s",
		     reap->networks ? "networks" : "containers", id,
		     reap->networks ? "" : "?force=1&v=1") < 0)
		return;
	log_info("docker", "removing leftover %s %.12s",
		 reap->networks ? "network" : "container", id);
	if (docker_api_call(reap->api, "DELETE", path, NULL,
			    DOCKER_REAP_TIMEOUT_MS, &ops, reap, NULL) == 0)
		reap->calls++;
}

static void docker_reap_on_list(void *ctx, const struct docker_reply *reply)
{
	struct docker_reap *reap = ctx;
	_cleanup_json_ json_t *list = json_loads(reply->body, 0, NULL);
	const json_t *item;
	size_t i;

	reap->calls--;
	if (reply->error)
		log_error("docker", "cannot look for leftovers: %s",
			  reply->error);
	json_array_foreach(list, i, item)
		docker_reap_delete(reap, item);
	docker_reap_end(reap);
}

static void docker_reap_list(struct docker_reap *reap)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_reap_on_list,
	};
	char filter[DOCKER_LABEL_FILTER_BYTES];
	char path[DOCKER_LABEL_FILTER_BYTES + 64];

	docker_label_filter(reap->instance, "", filter);
	snprintf(path, sizeof(path), "%sfilters=%s",
		 reap->networks ? "/networks?" : "/containers/json?all=1&",
		 filter);
	if (docker_api_call(reap->api, "GET", path, NULL,
			    DOCKER_REAP_TIMEOUT_MS, &ops, reap, NULL) == 0) {
		reap->calls++;
		return;
	}
	log_error("docker", "cannot look for leftovers: out of memory");
	docker_reap_end(reap);
}

void docker_reap_start(struct docker_reap *reap, struct docker_api *api,
		       const char *instance, const struct docker_reap_ops *ops,
		       void *ctx)
{
	if (reap->running) {
		reap->again = true;
		return;
	}
	*reap = (struct docker_reap){
		.api = api,
		.instance = instance,
		.ops = ops,
		.ctx = ctx,
		.running = true,
	};
	docker_reap_list(reap);
}
