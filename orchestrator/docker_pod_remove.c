#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/id.h"
#include "orchestrator/control_socket.h"
#include "orchestrator/docker_pod_impl.h"
#include "orchestrator/docker_subnet.h"

/* One pod's directory: two sides, each with a control socket at most. */
static void docker_pod_remove_dir(const char *run_dir, const char *pod)
{
	static const char *const inner[] = {
		"sidecar/" CONTROL_SOCKET_NAME,
		"sidecar/" CONTROL_SOCKET_DOOR,
		"runner/" CONTROL_SOCKET_NAME,
		"sidecar",
		"runner",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
		snprintf(path, sizeof(path), "%s/pods/%s/%s", run_dir, pod,
			 inner[i]);
		remove(path);
	}
	snprintf(path, sizeof(path), "%s/pods/%s", run_dir, pod);
	rmdir(path);
}

void docker_pod_remove_leftover_dirs(const char *run_dir)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/pods", run_dir);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (id_valid("pod", entry->d_name))
			docker_pod_remove_dir(run_dir, entry->d_name);
	closedir(dir);
}

static void docker_pod_gone(struct executor_pod *pod)
{
	void (*done)(void *) = pod->done;
	void *ctx = pod->done_ctx;

	docker_subnets_give(pod->shared->subnets, pod->subnet);
	docker_pod_remove_dir(pod->shared->config->run_dir, pod->name);
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
