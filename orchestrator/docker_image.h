/*
 * Cronium's own images, made when they are missing, so that `cronium run`
 * works on an engine that has never seen Cronium:
 *
 *   cronium/sidecar:HASH    FROM scratch and the static sidecar binary; HASH is
 *                           the binary's SHA-256, so it is never out of date
 *   cronium/RUNTIME         from docker/RUNTIME.Dockerfile and the SDKs
 *
 * They are never pulled: nobody owns that name in a registry. Other images
 * are.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

#define DOCKER_IMAGE_PREFIX "cronium/"
#define DOCKER_IMAGE_SIDECAR DOCKER_IMAGE_PREFIX "sidecar"
#define DOCKER_IMAGE_HASH_CHARS 12

struct docker_api;
struct docker_images;

struct docker_image_events {
	void (*on_progress)(void *ctx, const char *text);
	/* error is NULL when the image is there. */
	void (*on_done)(void *ctx, const char *error);
};

/* sdk_dir (may be NULL) has docker/ beside it. sidecar_path: see above. */
int docker_images_new(struct docker_images **out, struct docker_api *api,
		      const char *sdk_dir, const char *sidecar_path) MUST_CHECK;
void docker_images_free(struct docker_images *images);

/* "cronium/sidecar:0123456789ab" */
const char *docker_images_sidecar(const struct docker_images *images);
/* One of ours: it is built, not pulled. */
bool docker_image_is_own(const char *image);

/*
 * Builds or pulls the image; several calls for one image share the work.
 * Returns 0, or negative errno before anything was begun. on_done comes from
 * the loop.
 */
int docker_images_fetch(struct docker_images *images, const char *image,
			const struct docker_image_events *events,
			void *ctx) MUST_CHECK;
/* No more events for this ctx. */
void docker_images_forget(struct docker_images *images, const void *ctx);
