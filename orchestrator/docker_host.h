/*
 * Where the engine's host sees our files. An orchestrator that runs in a
 * container keeps RUN in a volume; what it mounts into pods must be named by
 * the volume's path on the host, which only the engine knows.
 */
#pragma once

#include "common/macro.h"

/* Id of the container we run in (64 hex digits), from the mounts that Docker
 * makes for each. 0, -ENOENT when not in a container, or negative errno. */
int docker_host_container_id(char out[65]) MUST_CHECK;

/*
 * The host's path of `path`, given the engine's description of our container
 * (GET /containers/ID/json). A malloc()ed string in *out. 0, -ENOENT when no
 * mount of the container holds it, or -ENOMEM.
 */
int docker_host_path(const char *inspect_json, const char *path,
		     char **out) MUST_CHECK;
