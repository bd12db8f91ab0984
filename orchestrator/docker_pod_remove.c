#include <stdio.h>

#include "orchestrator/docker_pod_impl.h"
#include "orchestrator/docker_subnet.h"
#include "orchestrator/pod_dir.h"

static void docker_pod_gone(struct executor_pod *pod)
{
	void (*done)(void *) = pod->done;
	void *ctx = pod->done_ctx;

	docker_subnets_give(pod->shared->subnets, pod->subnet);
	pod_dir_remove(pod->shared->config->run_dir, pod->name);
	docker_pod_free(pod);
	if (done)
		done(ctx);
}

static void docker_pod_on_network_removed(void *ctx,
					  const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	pod->calls--;
	docker_pod_gone(pod);
}

static void docker_pod_remove_network(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_network_removed,
	};
	char path[DOCKER_POD_NAME_BYTES + 16];

	snprintf(path, sizeof(path), "/networks/%s", pod->network);
	if (docker_api_call(pod->shared->api, "DELETE", path, NULL,
			    DOCKER_POD_CALL_TIMEOUT_MS, &ops, pod, NULL) < 0)
		docker_pod_gone(pod);
	else
		pod->calls++;
}

static void docker_pod_on_container_removed(void *ctx,
					    const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	if (--pod->calls)
		return;
	if (pod->network_made)
		docker_pod_remove_network(pod);
	else
		docker_pod_gone(pod);
}

static void docker_pod_remove_container(struct executor_pod *pod,
					const char *name)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_container_removed,
	};
	char path[DOCKER_POD_NAME_BYTES + 32];

	snprintf(path, sizeof(path), "/containers/%s?force=1&v=1", name);
	if (docker_api_call(pod->shared->api, "DELETE", path, NULL,
			    DOCKER_POD_CALL_TIMEOUT_MS, &ops, pod, NULL) == 0)
		pod->calls++;
}

void docker_pod_remove(struct executor_pod *pod)
{
	docker_pod_set_state(pod, DOCKER_POD_REMOVING);
	if (pod->script_made)
		docker_pod_remove_container(pod, pod->script);
	if (pod->sidecar_made)
		docker_pod_remove_container(pod, pod->sidecar);
	if (pod->calls)
		return;
	if (pod->network_made)
		docker_pod_remove_network(pod);
	else
		docker_pod_gone(pod);
}
