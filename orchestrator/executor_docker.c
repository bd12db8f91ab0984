/*
 * The Docker executor: what is shared by its pods, the engine's event stream,
 * and the removal of what earlier processes left behind.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/unix_socket.h"
#include "orchestrator/docker_api.h"
#include "orchestrator/docker_engine.h"
#include "orchestrator/docker_host.h"
#include "orchestrator/docker_image.h"
#include "orchestrator/docker_pod.h"
#include "orchestrator/docker_reap.h"
#include "orchestrator/docker_spec.h"
#include "orchestrator/docker_subnet.h"
#include "orchestrator/docker_sweep.h"
#include "orchestrator/executor.h"
#include "orchestrator/install.h"
#include "orchestrator/pod_dir.h"
#include "orchestrator/shares.h"

#define DOCKER_CALL_TIMEOUT_MS 60000
#define DOCKER_EVENTS_RETRY_MS 1000

struct executor {
	struct docker_shared shared;
	struct docker_call *events; /* the engine's event stream */
	struct event *events_retry;

	/* reap() */
	void (*reaped)(void *ctx);
	void *reaped_ctx;
	const struct executor_spare *spare;
	struct docker_reap past;
	struct docker_sweep sweep; /* after the first one */

	struct docker_reap leftovers; /* once the engine is back */
};

/* --- the engine's events ------------------------------------------------- */

static void docker_watch_events(struct executor *e);

static void docker_on_event_line(void *ctx, const char *line)
{
	struct executor *e = ctx;
	char err[64];
	_cleanup_json_ json_t *o = json_parse_object(line, strlen(line), err,
						     sizeof(err));
	const json_t *labels = json_object_get(json_object_get(o, "Actor"),
					       "Attributes");
	struct executor_pod *pod = docker_pod_find(
		&e->shared, json_get_str(labels, "cronium.pod", ""));

	if (pod)
		docker_pod_on_engine_event(
			pod, json_get_str(o, "Action", ""),
			json_get_str(labels, "cronium.role", ""),
			json_get_str(labels, "exitCode", "?"));
}

static void docker_on_events_end(void *ctx, const struct docker_reply *reply)
{
	static const struct timeval retry = {
		.tv_sec = DOCKER_EVENTS_RETRY_MS / 1000,
		.tv_usec = DOCKER_EVENTS_RETRY_MS % 1000 * 1000,
	};
	struct executor *e = ctx;

	e->events = NULL;
	e->shared.engine_ends++;
	log_warn("docker", "the engine's event stream ended: %s",
		 reply->error ? reply->error : "the engine closed it");
	docker_engine_doubt(e->shared.engine);
	event_add(e->events_retry, &retry);
}

static void docker_watch_events(struct executor *e)
{
	static const struct docker_call_ops ops = {
		.on_line = docker_on_event_line,
		.on_done = docker_on_events_end,
	};
	char filter[DOCKER_LABEL_FILTER_BYTES];
	char path[DOCKER_LABEL_FILTER_BYTES + 32];

	if (e->events)
		return;
	docker_label_filter(
		e->shared.config->instance,
		",\"type\":[\"container\"],\"event\":[\"die\",\"oom\"]",
		filter);
	snprintf(path, sizeof(path), "/events?filters=%s", filter);
	if (docker_api_call(e->shared.api, "GET", path, NULL, 0, &ops, e,
			    &e->events) < 0)
		log_error("docker", "cannot follow the engine's events");
}

static void docker_on_events_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct executor *e = ctx;

	/* It is watched again as soon as it is back. */
	if (!docker_engine_problem(e->shared.engine))
		docker_watch_events(e);
}

/* --- what is left over --------------------------------------------------- */

static void docker_on_reaped(void *ctx)
{
	struct executor *e = ctx;

	pod_dir_sweep(e->shared.config->run_dir, e->spare);
	docker_watch_events(e);
	docker_sweep_start(&e->sweep, e->shared.api, e->shared.sidecar_image);
	e->reaped(e->reaped_ctx);
}

static bool docker_reap_spares(void *ctx, const char *pod)
{
	struct executor *e = ctx;

	return executor_spares(e->spare, pod);
}

static void docker_reap_past(struct executor *e)
{
	static const struct docker_reap_ops ops = {
		.spares = docker_reap_spares,
		.on_done = docker_on_reaped,
	};

	docker_reap_start(&e->past, e->shared.api, e->shared.config->instance,
			  &ops, e);
}

static bool docker_leftovers_spare(void *ctx, const char *pod)
{
	struct executor *e = ctx;

	return docker_pod_find(&e->shared, pod);
}

static void docker_on_leftovers_gone(void *ctx)
{
}

/* Of pods that ended while the engine was down. */
static void docker_reap_leftovers(struct executor *e)
{
	static const struct docker_reap_ops ops = {
		.spares = docker_leftovers_spare,
		.on_done = docker_on_leftovers_gone,
	};

	docker_reap_start(&e->leftovers, e->shared.api,
			  e->shared.config->instance, &ops, e);
}

/* --- whether the engine answers ------------------------------------------ */

static void docker_on_engine(void *ctx, bool changed)
{
	struct executor *e = ctx;
	const struct executor_config *config = e->shared.config;
	const char *problem = docker_engine_problem(e->shared.engine);

	if (changed && !problem) {
		docker_watch_events(e);
		docker_reap_leftovers(e);
	}
	/* What is given back then goes somewhere else. */
	if (changed && config->on_problem)
		config->on_problem(config->ctx);
	docker_pods_on_engine(&e->shared, problem, changed);
}

static const char *docker_problem(const struct executor *e)
{
	return docker_engine_problem(e->shared.engine);
}

/* --- where the host sees our files --------------------------------------- */

/* Where the host sees a directory of ours: the same place, or what the engine
 * says of the container that we run in. NULL when out of memory. */
static char *docker_host_dir(const char *inspect_json, const char *dir)
{
	char *host;
	int r = inspect_json ? docker_host_path(inspect_json, dir, &host)
			     : -ENOENT;

	if (r == 0)
		return host;
	if (inspect_json)
		log_error("docker",
			  "%s is in no volume of this container, so pods "
			  "cannot mount it: keep it in a volume",
			  dir);
	return strdup(dir);
}

static void docker_set_host_dirs(struct executor *e, const char *inspect_json)
{
	struct docker_shared *shared = &e->shared;

	free(shared->host_run_dir);
	free(shared->host_backend_dir);
	shared->host_run_dir = docker_host_dir(inspect_json,
					       shared->config->run_dir);
	shared->host_backend_dir = docker_host_dir(inspect_json,
						   shared->config->backend_dir);
	if (!shared->host_run_dir || !shared->host_backend_dir)
		log_error("docker", "out of memory");
}

/* The SDKs of a containerised orchestrator are in no volume: RUN takes a copy.
 */
static void docker_share_sdk(struct executor *e, const char *inspect_json)
{
	const struct executor_config *config = e->shared.config;
	_cleanup_free_ char *copy = NULL;
	int r;

	if (!config->sdk_dir)
		return;
	free(e->shared.host_sdk_dir);
	e->shared.host_sdk_dir = NULL;
	r = install_tree(config->run_dir, "sdk", config->sdk_dir);
	if (r == 0 && asprintf(&copy, "%s/sdk", config->run_dir) < 0)
		r = -ENOMEM;
	if (r == 0)
		e->shared.host_sdk_dir = docker_host_dir(inspect_json, copy);
	else
		log_warn("docker", "pods of foreign images get no SDK: %s",
			 strerror(-r));
}

static void docker_free_shares(struct executor *e)
{
	if (!e->shared.host_shares)
		return;
	for (size_t i = 0; i < e->shared.config->shares->n; i++)
		free(e->shared.host_shares[i]);
	free(e->shared.host_shares);
	e->shared.host_shares = NULL;
}

static void docker_set_shares(struct executor *e, const char *inspect_json)
{
	const struct shares *shares = e->shared.config->shares;
	struct docker_shared *shared = &e->shared;

	docker_free_shares(e);
	if (!shares || !shares->n)
		return;
	shared->host_shares = calloc(shares->n, sizeof(*shared->host_shares));
	for (size_t i = 0; shared->host_shares && i < shares->n; i++)
		if (share_is_for(&shares->items[i], NULL))
			shared->host_shares[i] = docker_host_dir(
				inspect_json, shares->items[i].path);
}

static void docker_on_self(void *ctx, const struct docker_reply *reply)
{
	struct executor *e = ctx;

	if (reply->error)
		log_error("docker",
			  "the engine does not know our container: %s",
			  reply->error);
	docker_set_host_dirs(e, reply->error ? NULL : reply->body);
	docker_share_sdk(e, reply->error ? NULL : reply->body);
	docker_set_shares(e, reply->error ? NULL : reply->body);
	docker_reap_past(e);
}

static void docker_reap(struct executor *e, const struct executor_spare *spare,
			void (*done)(void *ctx), void *ctx)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_on_self,
	};
	char id[65], path[96];

	e->reaped = done;
	e->reaped_ctx = ctx;
	e->spare = spare;
	if (docker_host_container_id(id) == 0) {
		snprintf(path, sizeof(path), "/containers/%s/json", id);
		if (docker_api_call(e->shared.api, "GET", path, NULL,
				    DOCKER_CALL_TIMEOUT_MS, &ops, e, NULL) == 0)
			return;
	}
	docker_set_host_dirs(e, NULL);
	docker_set_shares(e, NULL);
	docker_reap_past(e);
}

/* --- set-up -------------------------------------------------------------- */

static int docker_engine_answers(const char *socket_path)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int r = unix_socket_address(&addr, socket_path);

	if (r < 0)
		return r;
	fd = unix_socket_connect(&addr, 0);
	return MIN(fd, 0);
}

static void docker_free(struct executor *e)
{
	struct executor_pod *pod;

	if (!e)
		return;
	docker_api_free(e->shared.api);
	while ((pod = LIST_FIRST(&e->shared.pods)))
		docker_pod_abandon(pod);
	docker_sweep_deinit(&e->sweep);
	docker_engine_free(e->shared.engine);
	docker_images_free(e->shared.images);
	docker_subnets_free(e->shared.subnets);
	if (e->events_retry)
		event_free(e->events_retry);
	docker_free_shares(e);
	free(e->shared.host_run_dir);
	free(e->shared.host_backend_dir);
	free(e->shared.host_sdk_dir);
	free(e);
}
DEFINE_CLEANUP(struct executor *, docker_free)

static int docker_set_up(struct executor *e)
{
	struct docker_shared *shared = &e->shared;
	const struct executor_config *config = shared->config;
	int r;

	LIST_INIT(&shared->pods);
	r = pod_dir_prepare(config->run_dir);
	if (r < 0)
		return r;
	e->events_retry = evtimer_new(config->base, docker_on_events_retry, e);
	if (!e->events_retry)
		return -ENOMEM;
	if (config->sdk_dir) {
		shared->host_sdk_dir = realpath(config->sdk_dir, NULL);
		if (!shared->host_sdk_dir)
			return -errno;
	}
	r = docker_api_new(&shared->api, config->base, config->docker_socket);
	if (r < 0)
		return r;
	r = docker_engine_new(&shared->engine, shared->api, config->base,
			      docker_on_engine, e);
	if (r < 0)
		return r;
	r = docker_images_new(&shared->images, shared->api, config->sdk_dir,
			      config->sidecar_path);
	if (r < 0)
		return r;
	shared->sidecar_image = config->sidecar_image && *config->sidecar_image
					? config->sidecar_image
					: docker_images_sidecar(shared->images);
	return install_binary(config->run_dir, "bin", "cronium-runner",
			      config->runner_path);
}

static int docker_new(struct executor **out,
		      const struct executor_config *config, char *err,
		      size_t err_size)
{
	_cleanup_(docker_freep) struct executor *e = NULL;
	int r = docker_engine_answers(config->docker_socket);

	if (r < 0) {
		snprintf(err, err_size, "no Docker engine answers on %s: %s",
			 config->docker_socket, strerror(-r));
		return r;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->shared.config = config;
	r = docker_subnets_new(&e->shared.subnets, config->subnet_pool);
	if (r < 0) {
		snprintf(err, err_size,
			 "'%s' is no pool of subnets: 10.231.0.0/16 is one",
			 config->subnet_pool);
		return r;
	}
	r = docker_set_up(e);
	if (r < 0) {
		snprintf(err, err_size, "cannot prepare the executor: %s",
			 strerror(-r));
		return r;
	}
	*out = e;
	e = NULL;
	return 0;
}

static int docker_create(struct executor *e, const struct executor_spec *spec,
			 const struct executor_events *events, void *ctx,
			 struct executor_pod **out)
{
	return docker_pod_new(&e->shared, spec, events, ctx, out);
}

static int docker_adopt(struct executor *e, const struct executor_spec *spec,
			const json_t *description,
			const struct executor_events *events, void *ctx,
			struct executor_pod **out)
{
	return docker_pod_adopt(&e->shared, spec, description, events, ctx,
				out);
}

const struct executor_ops executor_docker = {
	.name = "docker",
	.new = docker_new,
	.free = docker_free,
	.problem = docker_problem,
	.reap = docker_reap,
	.create = docker_create,
	.describe = docker_pod_describe,
	.adopt = docker_adopt,
	.place = docker_pod_place,
	.kill = docker_pod_kill,
	.oom_killed = docker_pod_oom_killed,
	.destroy = docker_pod_destroy,
};
