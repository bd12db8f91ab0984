/* What has become of a pod's containers while nobody looked. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "orchestrator/docker_pod_impl.h"
#include "orchestrator/docker_spec.h"

/* A container of the same name may be somebody else's. */
static bool docker_pod_owns(const struct executor_pod *pod,
			    const json_t *container)
{
	const json_t *labels =
		json_object_get(json_object_get(container, "Config"), "Labels");

	return !strcmp(json_get_str(labels, "cronium.pod", ""), pod->name) &&
	       !strcmp(json_get_str(labels, "cronium.execution", ""),
		       pod->spec.execution) &&
	       !strcmp(json_get_str(labels, DOCKER_LABEL_INSTANCE, ""),
		       pod->shared->config->instance);
}

static void docker_pod_judge(struct executor_pod *pod, const char *role,
			     const json_t *container)
{
	const json_t *state = json_object_get(container, "State");
	char reason[DOCKER_POD_REASON_BYTES];

	if (!docker_pod_owns(pod, container)) {
		docker_pod_fail(pod, "its container is another one now");
		return;
	}
	if (!strcmp(role, "script") && json_get_bool(state, "OOMKilled", false))
		pod->oom_killed = true;
	if (json_get_bool(state, "Running", false))
		return;
	snprintf(reason, sizeof(reason),
		 "the %s's container has ended (exit code %d)", role,
		 (int)json_get_int(state, "ExitCode", -1));
	docker_pod_fail(pod, reason);
}

static void docker_pod_on_looked(struct executor_pod *pod, const char *role,
				 const struct docker_reply *reply)
{
	_cleanup_json_ json_t *container = NULL;
	char reason[DOCKER_POD_REASON_BYTES];

	if (!docker_pod_reply(pod))
		return;
	if (reply->status == 404) {
		snprintf(reason, sizeof(reason), "the %s's container is gone",
			 role);
		docker_pod_fail(pod, reason);
		return;
	}
	if (reply->error) {
		docker_pod_fail_call(pod, "look at the pod's containers",
				     reply);
		return;
	}
	container = json_loads(reply->body, 0, NULL);
	docker_pod_judge(pod, role, container);
}

static void docker_pod_on_script(void *ctx, const struct docker_reply *reply)
{
	docker_pod_on_looked(ctx, "script", reply);
}

static void docker_pod_on_sidecar(void *ctx, const struct docker_reply *reply)
{
	docker_pod_on_looked(ctx, "sidecar", reply);
}

static void docker_pod_inspect(struct executor_pod *pod, const char *name,
			       const struct docker_call_ops *ops)
{
	char path[DOCKER_POD_NAME_BYTES + 32];

	snprintf(path, sizeof(path), "/containers/%s/json", name);
	docker_pod_call(pod, "GET", path, NULL, DOCKER_POD_CALL_TIMEOUT_MS,
			ops);
}

void docker_pod_look(struct executor_pod *pod)
{
	static const struct docker_call_ops script = {
		.on_done = docker_pod_on_script,
	};
	static const struct docker_call_ops sidecar = {
		.on_done = docker_pod_on_sidecar,
	};

	docker_pod_inspect(pod, pod->script, &script);
	docker_pod_inspect(pod, pod->sidecar, &sidecar);
}
