/*
 * Removes the sidecar images of other builds. Their tag is the hash of the
 * sidecar inside, so each build that ran a job would leave one for ever. An
 * image that a container uses stays: the engine refuses. Who still wanted the
 * image makes it again, as after any 'docker image prune'.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct docker_api;

struct docker_sweep {
	struct docker_api *api;
	char *keep;
	json_t *names; /* NULL before the list is here */
	size_t next;
};

/*
 * Goes on by itself, one image at a time, until the api is freed; a failure
 * ends it. Nothing when it was started before. keep: the image that we use.
 */
void docker_sweep_start(struct docker_sweep *sweep, struct docker_api *api,
			const char *keep);
/* After the api was freed. */
void docker_sweep_deinit(struct docker_sweep *sweep);

/* The names to remove among the engine's GET /images/json; owned by the
 * caller, NULL when out of memory. */
json_t *docker_sweep_choose(const json_t *images, const char *keep,
			    int64_t now_s);
