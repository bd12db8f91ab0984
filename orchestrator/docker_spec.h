/*
 * The JSON that makes a pod in Docker: what the sidecar's and the script's
 * containers may do. Pure. Each function returns a new reference, NULL when
 * out of memory.
 */
#pragma once

#include <jansson.h>

struct executor_spec;
struct shares;

#define DOCKER_LABEL_INSTANCE "cronium.instance"

/* Inside the containers. */
#define DOCKER_CONTROL_DIR "/run/cronium/control"
#define DOCKER_BACKEND_DIR "/run/cronium/backend"
#define DOCKER_RUNNER_DIR "/opt/cronium/bin"
#define DOCKER_SDK_DIR "/opt/cronium/sdk"
#define DOCKER_NODE_SDK_DIR "/node_modules/cronium"

#define DOCKER_SCRIPT_UID 1000
#define DOCKER_SIDECAR_UID 65532

/* Paths as the engine's host sees them. */
struct docker_mounts {
	const char *sidecar_dir;  /* with the sidecar's control.sock */
	const char *runner_dir;   /* with the runner's control.sock */
	const char *backend_dir;  /* with backend.sock */
	const char *bin_dir;      /* with cronium-runner */
	const char *sdk_dir;      /* NULL: the image has its own, or none */
	const char *node_sdk_dir; /* sdk_dir/node */
	/* The image's VOLUMEs: an object with their paths as keys, or NULL. */
	const json_t *volumes;
	/* What a capability is shown: those of this machine, and, by the same
	 * index, where the engine's host has them. NULL: nothing. */
	const struct shares *shares;
	char *const *host_shares;
};

struct docker_names {
	const char *instance;
	const char *sidecar_image;
	const char *network; /* name of the pod's network, or "none" */
	const char *sidecar; /* name of the sidecar's container */
};

json_t *docker_spec_network(const struct executor_spec *spec,
			    const struct docker_names *names,
			    const char *subnet);
json_t *docker_spec_sidecar(const struct executor_spec *spec,
			    const struct docker_names *names,
			    const struct docker_mounts *mounts);
json_t *docker_spec_script(const struct executor_spec *spec,
			   const struct docker_names *names,
			   const struct docker_mounts *mounts);
