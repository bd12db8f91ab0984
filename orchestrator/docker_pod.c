#include "orchestrator/docker_pod.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "orchestrator/control_socket.h"
#include "orchestrator/docker_engine.h"
#include "orchestrator/docker_image.h"
#include "orchestrator/docker_pod_impl.h"
#include "orchestrator/docker_spec.h"
#include "orchestrator/pod_dir.h"
#include "orchestrator/process_id.h"

#define DOCKER_POD_KILL_TIMEOUT_MS 10000
/* HTTP: from here on it is the engine's fault, and perhaps its end. */
#define DOCKER_POD_ENGINE_FAILS 500

/* Which states may follow which: a bit each. */
static UNUSED const unsigned int docker_pod_moves[] = {
	[DOCKER_POD_NETWORK] = 1 << DOCKER_POD_SIDECAR,
	[DOCKER_POD_SIDECAR] = 1 << DOCKER_POD_STARTING |
			       1 << DOCKER_POD_FETCHING,
	[DOCKER_POD_STARTING] = 1 << DOCKER_POD_SCRIPT |
				1 << DOCKER_POD_FETCHING,
	[DOCKER_POD_SCRIPT] = 1 << DOCKER_POD_UP,
	[DOCKER_POD_FETCHING] = 1 << DOCKER_POD_SIDECAR |
				1 << DOCKER_POD_STARTING,
	[DOCKER_POD_UP] = 0,
	[DOCKER_POD_FAILED] = 1 << DOCKER_POD_UP,
	[DOCKER_POD_REMOVING] = 0,
};

void docker_pod_set_state(struct executor_pod *pod, enum docker_pod_state state)
{
	assert(state == DOCKER_POD_REMOVING || state == DOCKER_POD_FAILED ||
	       docker_pod_moves[pod->state] & (1U << state));
	pod->state = state;
}

void docker_pod_free(struct executor_pod *pod)
{
	if (!pod)
		return;
	LIST_REMOVE(pod, link);
	docker_images_forget(pod->shared->images, pod);
	control_socket_free(pod->sidecar_socket);
	control_socket_free(pod->runner_socket);
	control_socket_free(pod->door_socket);
	free(pod->name);
	free(pod->dir);
	free((char *)pod->spec.execution);
	free((char *)pod->spec.job);
	free((char *)pod->spec.runtime);
	free((char *)pod->spec.image);
	free((char *)pod->spec.payload_key);
	free(pod);
}
DEFINE_CLEANUP(struct executor_pod *, docker_pod_free)

/* --- failing ------------------------------------------------------------- */

void docker_pod_fail(struct executor_pod *pod, const char *reason)
{
	if (pod->state >= DOCKER_POD_FAILED)
		return;
	docker_pod_set_state(pod, DOCKER_POD_FAILED);
	if (!pod->destroyed)
		pod->events->on_failed(pod->ctx, reason);
}

void docker_pod_fail_call(struct executor_pod *pod, const char *what,
			  const struct docker_reply *reply)
{
	char reason[DOCKER_POD_REASON_BYTES];

	snprintf(reason, sizeof(reason),
		 "Docker cannot %s: %s; 'cronium doctor' checks the engine",
		 what, reply->error);
	if (reply->gone || reply->status >= DOCKER_POD_ENGINE_FAILS)
		docker_pod_doubt(pod, reason);
	else
		docker_pod_fail(pod, reason);
}

void docker_pod_doubt(struct executor_pod *pod, const char *reason)
{
	if (pod->state >= DOCKER_POD_FAILED)
		return;
	pod->before_doubt = pod->state;
	docker_pod_set_state(pod, DOCKER_POD_FAILED);
	if (pod->destroyed)
		return;
	pod->in_doubt = true;
	snprintf(pod->doubt, sizeof(pod->doubt), "%s", reason);
	docker_engine_doubt(pod->shared->engine);
}

static void docker_pod_on_engine(struct executor_pod *pod, const char *problem,
				 bool changed)
{
	bool in_doubt = pod->in_doubt;
	const char *away = problem;

	if (pod->destroyed || !(in_doubt || (changed && problem)))
		return;
	/* It is back already. */
	if (!problem && pod->engine_ends != pod->shared->engine_ends)
		away = pod->doubt;
	pod->in_doubt = false;
	if (away && pod->events->on_away(pod->ctx, away))
		return;
	/* It runs: its streams tell more than the call that broke off. */
	if (in_doubt && away && pod->before_doubt == DOCKER_POD_SCRIPT)
		docker_pod_set_state(pod, DOCKER_POD_UP);
	else if (in_doubt)
		pod->events->on_failed(pod->ctx, pod->doubt);
}

void docker_pods_on_engine(struct docker_shared *shared, const char *problem,
			   bool changed)
{
	struct executor_pod *pod, *next;

	for (pod = LIST_FIRST(&shared->pods); pod; pod = next) {
		next = LIST_NEXT(pod, link);
		docker_pod_on_engine(pod, problem, changed);
	}
}

/* --- calls --------------------------------------------------------------- */

void docker_pod_call(struct executor_pod *pod, const char *method,
		     const char *path, json_t *body, unsigned int timeout_ms,
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

bool docker_pod_reply(struct executor_pod *pod)
{
	pod->calls--;
	if (!pod->destroyed)
		return pod->state < DOCKER_POD_FAILED;
	if (!pod->calls)
		docker_pod_remove(pod);
	return false;
}

/* --- control sockets ----------------------------------------------------- */

static void docker_pod_on_sidecar_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_SIDECAR, fd);
}

static void docker_pod_on_door_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_DOOR, fd);
}

static void docker_pod_on_runner_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_RUNNER, fd);
}

/* The script may reach its runner's directory, too. The runner is process 1 of
 * the container and its root, as long as we can see either. */
static bool docker_pod_is_runner(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid == DOCKER_SCRIPT_UID)
		return false;
	return peer.pid <= 0 || process_is_init(peer.pid);
}

static int docker_pod_listen(struct executor_pod *pod)
{
	struct event_base *base = pod->shared->config->base;
	_cleanup_free_ char *sidecar = NULL, *runner = NULL;
	int r;

	if (asprintf(&sidecar, "%s/sidecar", pod->dir) < 0 ||
	    asprintf(&runner, "%s/runner", pod->dir) < 0)
		return -ENOMEM;
	r = pod_dir_make(pod->shared->config->run_dir, pod->name);
	if (r < 0)
		return r;
	r = control_socket_new(&pod->sidecar_socket, base, sidecar,
			       CONTROL_SOCKET_NAME, NULL,
			       docker_pod_on_sidecar_fd, pod);
	if (!r && pod->spec.proxy)
		r = control_socket_new(&pod->door_socket, base, sidecar,
				       CONTROL_SOCKET_DOOR, NULL,
				       docker_pod_on_door_fd, pod);
	if (r < 0)
		return r;
	return control_socket_new(&pod->runner_socket, base, runner,
				  CONTROL_SOCKET_NAME, docker_pod_is_runner,
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
	pod->spec.payload_key = strdup(spec->payload_key ?: "");
	if (!pod->name || !pod->spec.execution || !pod->spec.job ||
	    !pod->spec.runtime || !pod->spec.image || !pod->spec.payload_key)
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

/* With its listeners; nothing is asked of the engine. */
static int docker_pod_alloc(struct docker_shared *shared,
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
	pod->engine_ends = shared->engine_ends;
	r = docker_pod_copy_spec(pod, spec);
	if (r < 0)
		return r;
	if (asprintf(&pod->dir, "%s/pods/%s", shared->config->run_dir,
		     pod->name) < 0)
		return -ENOMEM;
	r = docker_pod_listen(pod);
	if (r < 0)
		return r;
	*out = pod;
	pod = NULL;
	return 0;
}

int docker_pod_new(struct docker_shared *shared,
		   const struct executor_spec *spec,
		   const struct executor_events *events, void *ctx,
		   struct executor_pod **out)
{
	int r = docker_pod_alloc(shared, spec, events, ctx, out);

	if (r < 0)
		return r;
	(*out)->state = spec->egress ? DOCKER_POD_NETWORK : DOCKER_POD_SIDECAR;
	docker_pod_step(*out);
	return 0;
}

json_t *docker_pod_describe(const struct executor_pod *pod)
{
	return json_pack("{s:s,s:s,s:s}", "sidecar", pod->sidecar, "script",
			 pod->script, "network", pod->network);
}

/* The names are the pod's: nothing of the description is needed. Its subnet
 * stays the network's until that is removed; who else takes it is refused by
 * the engine, and takes the next. */
int docker_pod_adopt(struct docker_shared *shared,
		     const struct executor_spec *spec,
		     const json_t *description,
		     const struct executor_events *events, void *ctx,
		     struct executor_pod **out)
{
	int r = docker_pod_alloc(shared, spec, events, ctx, out);

	if (r < 0)
		return r;
	(*out)->state = DOCKER_POD_UP;
	(*out)->sidecar_made = (*out)->script_made = true;
	(*out)->network_made = spec->egress;
	docker_pod_look(*out);
	return 0;
}

void docker_pod_place(struct executor_pod *pod, struct executor_place *out)
{
	*out = (struct executor_place){
		.work_dir = "/work",
		.uid = DOCKER_SCRIPT_UID,
		.gid = DOCKER_SCRIPT_UID,
		.runtime_api = "http://localhost:8081",
		.mode = "container",
		/* Also over an image's own SDK, which may be older. */
		.sdk_dir = pod->shared->host_sdk_dir ? DOCKER_SDK_DIR : NULL,
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
	docker_pod_doubt(pod, reason);
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

/* --- the end ------------------------------------------------------------- */

void docker_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			void *ctx)
{
	pod->destroyed = true;
	pod->done = done;
	pod->done_ctx = ctx;
	control_socket_free(pod->sidecar_socket);
	control_socket_free(pod->runner_socket);
	control_socket_free(pod->door_socket);
	pod->sidecar_socket = pod->runner_socket = pod->door_socket = NULL;
	docker_images_forget(pod->shared->images, pod);
	/* A call under way may still make something: wait for its answer. */
	if (!pod->calls)
		docker_pod_remove(pod);
}

void docker_pod_abandon(struct executor_pod *pod)
{
	docker_pod_free(pod);
}
