#include "orchestrator/docker_sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/percent.h"
#include "orchestrator/docker_api.h"
#include "orchestrator/docker_image.h"

#define DOCKER_SWEEP_TIMEOUT_MS 60000
#define DOCKER_SWEEP_IMAGES_MAX 64 /* each start of an executor */
/* Just made: another orchestrator may be about to use it. */
#define DOCKER_SWEEP_AGE_S 600
#define DOCKER_SWEEP_FILTER "{\"reference\":[\"" DOCKER_IMAGE_SIDECAR "\"]}"

/* cronium/sidecar:HASH; other tags are somebody's own. */
static bool docker_sweep_is_build(const char *name)
{
	const char *hash = name + strlen(DOCKER_IMAGE_SIDECAR ":");

	return !strncmp(name, DOCKER_IMAGE_SIDECAR ":",
			strlen(DOCKER_IMAGE_SIDECAR ":")) &&
	       strlen(hash) == DOCKER_IMAGE_HASH_CHARS &&
	       strspn(hash, "0123456789abcdef") == DOCKER_IMAGE_HASH_CHARS;
}

json_t *docker_sweep_choose(const json_t *images, const char *keep,
			    int64_t now_s)
{
	json_t *names = json_array();
	const json_t *image, *tag;
	size_t i, j;

	json_array_foreach(images, i, image) {
		json_int_t made = json_integer_value(
			json_object_get(image, "Created"));

		if (made > now_s - DOCKER_SWEEP_AGE_S)
			continue;
		json_array_foreach(json_object_get(image, "RepoTags"), j, tag) {
			const char *name = json_string_value(tag);

			if (name && docker_sweep_is_build(name) &&
			    strcmp(name, keep) != 0 &&
			    json_array_size(names) < DOCKER_SWEEP_IMAGES_MAX)
				json_array_append_new(names, json_string(name));
		}
	}
	return names;
}

static void docker_sweep_step(struct docker_sweep *sweep);

static void docker_sweep_on_removed(void *ctx, const struct docker_reply *reply)
{
	struct docker_sweep *sweep = ctx;

	/* 409: in use; 404: somebody else was faster. */
	if (reply->error && reply->status != 409 && reply->status != 404) {
		log_warn("docker", "cannot remove an old sidecar image: %s",
			 reply->error);
		return;
	}
	docker_sweep_step(sweep);
}

static void docker_sweep_step(struct docker_sweep *sweep)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_sweep_on_removed,
	};
	const char *name = json_string_value(
		json_array_get(sweep->names, sweep->next++));
	char path[128];

	if (!name)
		return;
	log_debug("docker", "removing %s, of another build", name);
	snprintf(path, sizeof(path), "/images/%s", name);
	if (docker_api_call(sweep->api, "DELETE", path, NULL,
			    DOCKER_SWEEP_TIMEOUT_MS, &ops, sweep, NULL) < 0)
		log_warn("docker", "cannot remove %s", name);
}

static void docker_sweep_on_list(void *ctx, const struct docker_reply *reply)
{
	struct docker_sweep *sweep = ctx;
	_cleanup_json_ json_t *images = NULL;

	if (reply->error) {
		log_warn("docker", "cannot list old sidecar images: %s",
			 reply->error);
		return;
	}
	images = json_loads(reply->body, 0, NULL);
	sweep->names = docker_sweep_choose(images, sweep->keep, clock_wall_s());
	docker_sweep_step(sweep);
}

void docker_sweep_start(struct docker_sweep *sweep, struct docker_api *api,
			const char *keep)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_sweep_on_list,
	};
	char filter[PERCENT_ENCODED_BYTES(sizeof(DOCKER_SWEEP_FILTER))];
	char path[sizeof(filter) + 32];

	if (sweep->keep)
		return;
	sweep->api = api;
	sweep->keep = strdup(keep);
	percent_encode(DOCKER_SWEEP_FILTER, filter);
	snprintf(path, sizeof(path), "/images/json?filters=%s", filter);
	if (!sweep->keep ||
	    docker_api_call(api, "GET", path, NULL, DOCKER_SWEEP_TIMEOUT_MS,
			    &ops, sweep, NULL) < 0)
		log_warn("docker", "cannot look for old sidecar images");
}

void docker_sweep_deinit(struct docker_sweep *sweep)
{
	json_decref(sweep->names);
	free(sweep->keep);
}
