#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "orchestrator/docker_image.h"
#include "orchestrator/docker_pod_impl.h"
#include "orchestrator/docker_spec.h"
#include "orchestrator/docker_subnet.h"

#define DOCKER_POD_SUBNET_TRIES 16
#define DOCKER_POD_FETCHES_MAX 2
#define DOCKER_POD_VOLUMES_MAX 32

/* --- a missing image ----------------------------------------------------- */

static void docker_pod_on_fetch_progress(void *ctx, const char *text)
{
	struct executor_pod *pod = ctx;

	pod->events->on_progress(pod->ctx, text);
}

static void docker_pod_on_fetched(void *ctx, const char *error)
{
	struct executor_pod *pod = ctx;

	if (error) {
		docker_pod_doubt(pod, error);
		return;
	}
	docker_pod_set_state(pod, pod->after_fetch);
	docker_pod_step(pod);
}

static void docker_pod_fetch(struct executor_pod *pod, const char *image)
{
	static const struct docker_image_events events = {
		.on_progress = docker_pod_on_fetch_progress,
		.on_done = docker_pod_on_fetched,
	};
	char reason[DOCKER_POD_REASON_BYTES];
	int r;

	/* Once for the sidecar, once for the script: more is a circle. */
	if (++pod->fetches > DOCKER_POD_FETCHES_MAX) {
		docker_pod_fail(pod, "an image vanished right after it came");
		return;
	}
	pod->after_fetch = pod->state;
	docker_pod_set_state(pod, DOCKER_POD_FETCHING);
	r = docker_images_fetch(pod->shared->images, image, &events, pod);
	if (r == 0)
		return;
	snprintf(reason, sizeof(reason),
		 "image %s is not here and cannot be built: %s; './dev images' "
		 "and 'docker compose build' make it",
		 image, strerror(-r));
	docker_pod_fail(pod, reason);
}

/* --- the steps ----------------------------------------------------------- */

static void docker_pod_names(struct executor_pod *pod,
			     struct docker_names *names)
{
	*names = (struct docker_names){
		.instance = pod->shared->config->instance,
		.sidecar_image = pod->shared->sidecar_image,
		.network = pod->network,
		.sidecar = pod->sidecar,
	};
}

static void docker_pod_on_network(void *ctx, const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;
	bool overlaps = reply->error && strstr(reply->error, "overlap");

	pod->network_made |= !reply->error;
	if (!docker_pod_reply(pod))
		return;
	/* Somebody else's network: try another one. */
	if (overlaps && ++pod->subnet_tries < DOCKER_POD_SUBNET_TRIES) {
		docker_subnets_give(pod->shared->subnets, pod->subnet);
		pod->subnet = -1;
		docker_pod_step(pod);
		return;
	}
	if (reply->error) {
		docker_pod_fail_call(pod, "make the pod's network", reply);
		return;
	}
	docker_pod_set_state(pod, DOCKER_POD_SIDECAR);
	docker_pod_step(pod);
}

static void docker_pod_make_network(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_network,
	};
	char subnet[DOCKER_SUBNET_TEXT_BYTES];
	struct docker_names names;

	pod->subnet = docker_subnets_take(pod->shared->subnets, arc4random(),
					  subnet);
	if (pod->subnet < 0) {
		docker_pod_fail(pod, "no subnet is left for the pod's network: "
				     "give --subnet-pool a larger one");
		return;
	}
	docker_pod_names(pod, &names);
	docker_pod_call(pod, "POST", "/networks/create",
			docker_spec_network(&pod->spec, &names, subnet),
			DOCKER_POD_CALL_TIMEOUT_MS, &ops);
}

static void docker_pod_create(struct executor_pod *pod, const char *name,
			      json_t *body, const struct docker_call_ops *ops)
{
	char path[DOCKER_POD_NAME_BYTES + 32];

	snprintf(path, sizeof(path), "/containers/create?name=%s", name);
	docker_pod_call(pod, "POST", path, body, DOCKER_POD_CALL_TIMEOUT_MS,
			ops);
}

static void docker_pod_start(struct executor_pod *pod, const char *name,
			     const struct docker_call_ops *ops)
{
	char path[DOCKER_POD_NAME_BYTES + 32];

	snprintf(path, sizeof(path), "/containers/%s/start", name);
	docker_pod_call(pod, "POST", path, NULL, DOCKER_POD_CALL_TIMEOUT_MS,
			ops);
}

/* The reply to a container's creation: true when it is made; a missing image
 * is fetched first. */
static bool docker_pod_made(struct executor_pod *pod,
			    const struct docker_reply *reply, const char *image,
			    const char *what)
{
	if (!docker_pod_reply(pod))
		return false;
	if (reply->status == 404)
		docker_pod_fetch(pod, image);
	else if (reply->error)
		docker_pod_fail_call(pod, what, reply);
	return !reply->error;
}

static void docker_pod_on_sidecar_made(void *ctx,
				       const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	pod->sidecar_made |= !reply->error;
	if (!docker_pod_made(pod, reply, pod->shared->sidecar_image,
			     "make the sidecar"))
		return;
	docker_pod_set_state(pod, DOCKER_POD_STARTING);
	docker_pod_step(pod);
}

/* STARTING is over when the sidecar runs and the script's container is made,
 * in whichever order. */
static void docker_pod_started_half(struct executor_pod *pod)
{
	if (pod->calls)
		return;
	docker_pod_set_state(pod, DOCKER_POD_SCRIPT);
	docker_pod_step(pod);
}

static void docker_pod_on_sidecar_started(void *ctx,
					  const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	if (!docker_pod_reply(pod))
		return;
	if (reply->error)
		docker_pod_fail_call(pod, "start the sidecar", reply);
	else if (pod->state == DOCKER_POD_STARTING)
		docker_pod_started_half(pod);
}

static void docker_pod_on_script_made(void *ctx,
				      const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	pod->script_made |= !reply->error;
	if (docker_pod_made(pod, reply, pod->spec.image,
			    "make the script's container"))
		docker_pod_started_half(pod);
}

static void docker_pod_make_script(struct executor_pod *pod,
				   const json_t *volumes)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_script_made,
	};
	struct docker_shared *shared = pod->shared;
	_cleanup_free_ char *runner = NULL, *bin = NULL, *node = NULL;
	struct docker_names names;

	if (asprintf(&runner, "%s/pods/%s/runner", shared->host_run_dir,
		     pod->name) < 0 ||
	    asprintf(&bin, "%s/bin", shared->host_run_dir) < 0 ||
	    asprintf(&node, "%s/node", shared->host_sdk_dir ?: "") < 0) {
		docker_pod_fail(pod, "out of memory");
		return;
	}
	docker_pod_names(pod, &names);
	docker_pod_create(
		pod, pod->script,
		docker_spec_script(
			&pod->spec, &names,
			&(struct docker_mounts){
				.runner_dir = runner,
				.bin_dir = bin,
				.sdk_dir = shared->host_sdk_dir,
				.node_sdk_dir = node,
				.volumes = volumes,
				.shares = pod->spec.shares
						  ? shared->config->shares
						  : NULL,
				.host_shares = shared->host_shares,
			}),
		&ops);
}

static void docker_pod_on_image(void *ctx, const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;
	_cleanup_json_ json_t *image = NULL;
	const json_t *volumes;

	if (!docker_pod_reply(pod))
		return;
	if (reply->status == 404) {
		docker_pod_fetch(pod, pod->spec.image);
		return;
	}
	if (reply->error) {
		docker_pod_fail_call(pod, "look at the image", reply);
		return;
	}
	image = json_loads(reply->body, 0, NULL);
	volumes = json_object_get(json_object_get(image, "Config"), "Volumes");
	if (!image) {
		docker_pod_fail(pod, "Docker describes the image in no JSON");
	} else if (json_object_size(volumes) > DOCKER_POD_VOLUMES_MAX) {
		docker_pod_fail(pod, "the image declares too many VOLUMEs");
	} else {
		docker_pod_make_script(pod, volumes);
	}
}

/* Ours have no volumes; of others we have to know them first, which takes less
 * time than the start of the sidecar at the same moment. */
static void docker_pod_look_at_image(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_image,
	};
	_cleanup_free_ char *path = NULL;

	if (docker_image_is_own(pod->spec.image))
		docker_pod_make_script(pod, NULL);
	else if (asprintf(&path, "/images/%s/json", pod->spec.image) < 0)
		docker_pod_fail(pod, "out of memory");
	else
		docker_pod_call(pod, "GET", path, NULL,
				DOCKER_POD_CALL_TIMEOUT_MS, &ops);
}

static void docker_pod_make_sidecar(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_sidecar_made,
	};
	struct docker_shared *shared = pod->shared;
	_cleanup_free_ char *sidecar = NULL;
	struct docker_names names;

	if (asprintf(&sidecar, "%s/pods/%s/sidecar", shared->host_run_dir,
		     pod->name) < 0) {
		docker_pod_fail(pod, "out of memory");
		return;
	}
	docker_pod_names(pod, &names);
	docker_pod_create(
		pod, pod->sidecar,
		docker_spec_sidecar(
			&pod->spec, &names,
			&(struct docker_mounts){
				.sidecar_dir = sidecar,
				.backend_dir = shared->host_backend_dir,
			}),
		&ops);
}

static void docker_pod_on_script_started(void *ctx,
					 const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	if (!docker_pod_reply(pod))
		return;
	if (reply->error)
		docker_pod_fail_call(pod, "start the script's container",
				     reply);
	else
		docker_pod_set_state(pod, DOCKER_POD_UP);
}

void docker_pod_step(struct executor_pod *pod)
{
	static const struct docker_call_ops sidecar_started = {
		.on_done = docker_pod_on_sidecar_started,
	};
	static const struct docker_call_ops script_started = {
		.on_done = docker_pod_on_script_started,
	};

	switch (pod->state) {
	case DOCKER_POD_NETWORK:
		docker_pod_make_network(pod);
		break;
	case DOCKER_POD_SIDECAR:
		docker_pod_make_sidecar(pod);
		break;
	case DOCKER_POD_STARTING:
		/* Again after a fetch: the engine answers 304. */
		docker_pod_start(pod, pod->sidecar, &sidecar_started);
		docker_pod_look_at_image(pod);
		break;
	case DOCKER_POD_SCRIPT:
		docker_pod_start(pod, pod->script, &script_started);
		break;
	default:
		break;
	}
}
