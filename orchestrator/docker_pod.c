#include "orchestrator/docker_pod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/control_socket.h"
#include "orchestrator/docker_api.h"
#include "orchestrator/docker_image.h"
#include "orchestrator/docker_spec.h"
#include "orchestrator/docker_subnet.h"

#define DOCKER_POD_CALL_TIMEOUT_MS 60000
#define DOCKER_POD_KILL_TIMEOUT_MS 10000
#define DOCKER_POD_NAME_BYTES 96
#define DOCKER_POD_REASON_BYTES 1024
#define DOCKER_POD_SUBNET_TRIES 16
#define DOCKER_POD_FETCHES_MAX 2

/*
 *   NETWORK ─▶ SIDECAR ─▶ STARTING ─▶ SCRIPT ─▶ UP ─▶ REMOVING
 *      (egress only)  ╲      ╲           ╲      ╲▶
 *                      ╲▶ FETCHING (an image is missing; then back)
 *   any of them ─▶ FAILED ─▶ REMOVING
 *
 * STARTING starts the sidecar and creates the script's container at the same
 * time; SCRIPT starts the latter.
 */
enum docker_pod_state {
	DOCKER_POD_NETWORK,
	DOCKER_POD_SIDECAR,
	DOCKER_POD_STARTING,
	DOCKER_POD_SCRIPT,
	DOCKER_POD_FETCHING,
	DOCKER_POD_UP,
	DOCKER_POD_FAILED,
	DOCKER_POD_REMOVING,
};

struct executor_pod {
	LIST_ENTRY(executor_pod) link;
	struct docker_shared *shared;
	const struct executor_events *events;
	void *ctx;
	enum docker_pod_state state;
	unsigned int calls;   /* under way at the engine */
	unsigned int removes; /* of those, the deletions */
	bool destroyed;	      /* by its owner: remove once calls == 0 */
	bool oom_killed;
	bool sidecar_made, script_made, network_made;
	unsigned int subnet_tries;
	int64_t subnet; /* index in the pool, -1 for none */

	char *name;			     /* pod_… */
	char *dir;			     /* RUN/pods/NAME */
	char sidecar[DOCKER_POD_NAME_BYTES]; /* container names */
	char script[DOCKER_POD_NAME_BYTES];
	char network[DOCKER_POD_NAME_BYTES]; /* "none" without egress */
	unsigned int fetches;		     /* images that were missing */
	enum docker_pod_state after_fetch;
	struct executor_spec spec; /* strings are copies */
	struct control_socket *sidecar_socket, *runner_socket;
	void (*done)(void *ctx);
	void *done_ctx;
};

static void docker_pod_step(struct executor_pod *pod);
static void docker_pod_remove(struct executor_pod *pod);

static void docker_pod_set_state(struct executor_pod *pod,
				 enum docker_pod_state state)
{
	pod->state = state;
}

/* --- files --------------------------------------------------------------- */

static void docker_pod_remove_dir(struct executor_pod *pod)
{
	static const char *const sides[] = { "sidecar", "runner" };
	char path[4096];

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		snprintf(path, sizeof(path), "%s/%s", pod->dir, sides[i]);
		rmdir(path);
	}
	rmdir(pod->dir);
}

static void docker_pod_free(struct executor_pod *pod)
{
	if (!pod)
		return;
	LIST_REMOVE(pod, link);
	docker_images_forget(pod->shared->images, pod);
	control_socket_free(pod->sidecar_socket);
	control_socket_free(pod->runner_socket);
	free(pod->name);
	free(pod->dir);
	free((char *)pod->spec.execution);
	free((char *)pod->spec.job);
	free((char *)pod->spec.runtime);
	free((char *)pod->spec.image);
	free(pod);
}
DEFINE_CLEANUP(struct executor_pod *, docker_pod_free)

/* --- failing ------------------------------------------------------------- */

static void docker_pod_fail(struct executor_pod *pod, const char *reason)
{
	if (pod->state >= DOCKER_POD_FAILED)
		return;
	docker_pod_set_state(pod, DOCKER_POD_FAILED);
	if (!pod->destroyed)
		pod->events->on_failed(pod->ctx, reason);
}

static void docker_pod_fail_call(struct executor_pod *pod, const char *what,
				 const struct docker_reply *reply)
{
	char reason[DOCKER_POD_REASON_BYTES];

	snprintf(reason, sizeof(reason),
		 "Docker cannot %s: %s; 'cronium doctor' checks the engine",
		 what, reply->error);
	docker_pod_fail(pod, reason);
}

/* --- calls --------------------------------------------------------------- */

static void docker_pod_call(struct executor_pod *pod, const char *method,
			    const char *path, json_t *body,
			    unsigned int timeout_ms,
			    const struct docker_call_ops *ops)
{
	struct docker_reply none = { .body = "", .error = "out of memory" };
	int r = docker_api_call(pod->shared->api, method, path, body,
				timeout_ms, ops, pod, NULL);

	json_decref(body);
	if (r < 0)
		docker_pod_fail_call(pod, "be asked", &none);
	else
		pod->calls++;
}

/* Every reply comes through here first. True: the pod goes on. */
static bool docker_pod_reply(struct executor_pod *pod)
{
	pod->calls--;
	if (!pod->destroyed)
		return pod->state < DOCKER_POD_FAILED;
	if (!pod->calls)
		docker_pod_remove(pod);
	return false;
}

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
		docker_pod_fail(pod, error);
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
	/* Somebody else's network: our index stays taken, try the next. */
	if (overlaps && ++pod->subnet_tries < DOCKER_POD_SUBNET_TRIES) {
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

	pod->subnet = docker_subnets_take(pod->shared->subnets, subnet);
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

static void docker_pod_on_sidecar_made(void *ctx,
				       const struct docker_reply *reply)
{
	struct executor_pod *pod = ctx;

	pod->sidecar_made |= !reply->error;
	if (!docker_pod_reply(pod))
		return;
	if (reply->status == 404) {
		docker_pod_fetch(pod, pod->shared->sidecar_image);
		return;
	}
	if (reply->error) {
		docker_pod_fail_call(pod, "make the sidecar", reply);
		return;
	}
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
	if (!docker_pod_reply(pod))
		return;
	if (reply->status == 404) {
		docker_pod_fetch(pod, pod->spec.image);
		return;
	}
	if (reply->error) {
		docker_pod_fail_call(pod, "make the script's container", reply);
		return;
	}
	docker_pod_started_half(pod);
}

static void docker_pod_make_script(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_script_made,
	};
	struct docker_shared *shared = pod->shared;
	bool own = docker_image_is_own(pod->spec.image);
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
	docker_pod_create(pod, pod->script,
			  docker_spec_script(
				  &pod->spec, &names,
				  &(struct docker_mounts){
					  .runner_dir = runner,
					  .bin_dir = bin,
					  .sdk_dir = own ? NULL
							 : shared->host_sdk_dir,
					  .node_sdk_dir = node,
				  }),
			  &ops);
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

static void docker_pod_step(struct executor_pod *pod)
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
		docker_pod_make_script(pod);
		break;
	case DOCKER_POD_SCRIPT:
		docker_pod_start(pod, pod->script, &script_started);
		break;
	default:
		break;
	}
}

/* --- control sockets ----------------------------------------------------- */

static void docker_pod_on_sidecar_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_SIDECAR, fd);
}

static void docker_pod_on_runner_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_RUNNER, fd);
}

static int docker_pod_listen(struct executor_pod *pod)
{
	struct event_base *base = pod->shared->config->base;
	_cleanup_free_ char *sidecar = NULL, *runner = NULL;
	int r;

	if (asprintf(&sidecar, "%s/sidecar", pod->dir) < 0 ||
	    asprintf(&runner, "%s/runner", pod->dir) < 0)
		return -ENOMEM;
	if (mkdir(pod->dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = control_socket_new(&pod->sidecar_socket, base, sidecar,
			       docker_pod_on_sidecar_fd, pod);
	if (r < 0)
		return r;
	return control_socket_new(&pod->runner_socket, base, runner,
				  docker_pod_on_runner_fd, pod);
}

/* --- public -------------------------------------------------------------- */

static int docker_pod_copy_spec(struct executor_pod *pod,
				const struct executor_spec *spec)
{
	_cleanup_free_ char *own = NULL;

	if (asprintf(&own, "cronium/%s", spec->runtime) < 0)
		return -ENOMEM;
	pod->spec = *spec;
	pod->name = strdup(spec->pod);
	pod->spec.pod = pod->name;
	pod->spec.execution = strdup(spec->execution);
	pod->spec.job = strdup(spec->job);
	pod->spec.runtime = strdup(spec->runtime);
	pod->spec.image = strdup(spec->image ? spec->image : own);
	if (!pod->name || !pod->spec.execution || !pod->spec.job ||
	    !pod->spec.runtime || !pod->spec.image)
		return -ENOMEM;
	snprintf(pod->sidecar, sizeof(pod->sidecar), "cronium-%s-sidecar",
		 pod->name);
	snprintf(pod->script, sizeof(pod->script), "cronium-%s-script",
		 pod->name);
	if (spec->egress)
		snprintf(pod->network, sizeof(pod->network), "cronium-%s",
			 pod->name);
	else
		strcpy(pod->network, "none");
	return 0;
}

int docker_pod_new(struct docker_shared *shared,
		   const struct executor_spec *spec,
		   const struct executor_events *events, void *ctx,
		   struct executor_pod **out)
{
	_cleanup_(docker_pod_freep) struct executor_pod *pod =
		calloc(1, sizeof(*pod));
	int r;

	if (!pod)
		return -ENOMEM;
	LIST_INSERT_HEAD(&shared->pods, pod, link);
	pod->shared = shared;
	pod->events = events;
	pod->ctx = ctx;
	pod->subnet = -1;
	r = docker_pod_copy_spec(pod, spec);
	if (r < 0)
		return r;
	if (asprintf(&pod->dir, "%s/pods/%s", shared->config->run_dir,
		     pod->name) < 0)
		return -ENOMEM;
	r = docker_pod_listen(pod);
	if (r < 0) {
		docker_pod_remove_dir(pod);
		return r;
	}
	pod->state = spec->egress ? DOCKER_POD_NETWORK : DOCKER_POD_SIDECAR;
	*out = pod;
	docker_pod_step(pod);
	pod = NULL;
	return 0;
}

void docker_pod_place(struct executor_pod *pod, struct executor_place *out)
{
	bool own = docker_image_is_own(pod->spec.image);

	*out = (struct executor_place){
		.work_dir = "/work",
		.uid = DOCKER_SCRIPT_UID,
		.gid = DOCKER_SCRIPT_UID,
		.runtime_api = "http://localhost:8081",
		.mode = "container",
		.sdk_dir = !own && pod->shared->host_sdk_dir ? DOCKER_SDK_DIR
							     : NULL,
	};
}

bool docker_pod_oom_killed(struct executor_pod *pod)
{
	return pod->oom_killed;
}

struct executor_pod *docker_pod_find(struct docker_shared *shared,
				     const char *name)
{
	struct executor_pod *pod;

	LIST_FOREACH(pod, &shared->pods, link)
		if (!strcmp(pod->name, name))
			return pod;
	return NULL;
}

void docker_pod_on_engine_event(struct executor_pod *pod, const char *action,
				const char *role, const char *exit_code)
{
	char reason[DOCKER_POD_REASON_BYTES];
	bool script = !strcmp(role, "script");

	if (!strcmp(action, "oom") && script)
		pod->oom_killed = true;
	if (strcmp(action, "die") != 0 || pod->destroyed)
		return;
	/* Once the script's side is up its streams tell more than this. */
	if (script && pod->state == DOCKER_POD_UP)
		return;
	snprintf(reason, sizeof(reason),
		 "the %s's container ended unexpectedly (exit code %s)",
		 script ? "script" : "sidecar", exit_code);
	docker_pod_fail(pod, reason);
}

static void docker_pod_on_killed(void *ctx, const struct docker_reply *reply)
{
	docker_pod_reply(ctx);
}

void docker_pod_kill(struct executor_pod *pod)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_pod_on_killed,
	};
	char path[DOCKER_POD_NAME_BYTES + 32];

	if (!pod->script_made)
		return;
	snprintf(path, sizeof(path), "/containers/%s/kill?signal=KILL",
		 pod->script);
	docker_pod_call(pod, "POST", path, NULL, DOCKER_POD_KILL_TIMEOUT_MS,
			&ops);
}

/* --- removing ------------------------------------------------------------ */

static void docker_pod_gone(struct executor_pod *pod)
{
	void (*done)(void *) = pod->done;
	void *ctx = pod->done_ctx;

	docker_subnets_give(pod->shared->subnets, pod->subnet);
	docker_pod_remove_dir(pod);
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

static void docker_pod_remove(struct executor_pod *pod)
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

void docker_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			void *ctx)
{
	pod->destroyed = true;
	pod->done = done;
	pod->done_ctx = ctx;
	control_socket_free(pod->sidecar_socket);
	control_socket_free(pod->runner_socket);
	pod->sidecar_socket = pod->runner_socket = NULL;
	docker_images_forget(pod->shared->images, pod);
	/* A call under way may still make something: wait for its answer. */
	if (!pod->calls)
		docker_pod_remove(pod);
}

void docker_pod_abandon(struct executor_pod *pod)
{
	docker_pod_free(pod);
}
