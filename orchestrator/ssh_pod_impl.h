/*
 * Shared by the files of the pod: ssh_pod.c (states, life) and
 * ssh_pod_place.c (what the runner is told of the place). Nobody else includes
 * it.
 */
#pragma once

#include "orchestrator/ssh_install.h"
#include "orchestrator/ssh_pod.h"
#include "orchestrator/ssh_pool.h"

#define SSH_POD_URL_BYTES 512
#define SSH_POD_HOST_BYTES 300
#define SSH_POD_TO_BYTES (SSH_POD_HOST_BYTES + 16)

struct event;
struct ssh_channel;
struct ssh_sidecar;
struct ssh_tunnel;

enum ssh_pod_state {
	SSH_POD_WAITING,
	SSH_POD_STARTING,
	SSH_POD_FORWARDING,
	SSH_POD_UP,
	SSH_POD_CLOSING,
};

/* A forwarded port, and the door that leads to it in the pod. */
struct ssh_pod_port {
	struct ssh_tunnel *tunnel;
	const char *serve; /* what its connections are to the sidecar */
	bool wanted, open;
	char to[SSH_POD_TO_BYTES];
	struct executor_pod *pod;
};

enum { SSH_POD_API, SSH_POD_PROXY, SSH_POD_PORTS };

struct executor_pod {
	TAILQ_ENTRY(executor_pod) entry;
	enum ssh_pod_state state;
	const struct ssh_pod_shared *shared;
	struct ssh_pods *list;
	struct ssh_host *host;
	char *execution, *payload_key;
	uint64_t memory_bytes;
	uint32_t pids;
	bool unconfined; /* no namespaces: the host's network is the job's */
	struct ssh_lease lease;
	struct ssh_connection *connection; /* while there is one */
	struct ssh_channel *channel;
	bool running;  /* the channel has not ended */
	int runner_fd; /* the far end of its socket, until it is handed over */
	struct ssh_pod_port ports[SSH_POD_PORTS];
	struct ssh_sidecar *sidecar;
	struct executor_door doors[SSH_POD_PORTS];
	char api[SSH_POD_URL_BYTES], sdk[SSH_INSTALL_PATH_BYTES];
	char modules[SSH_INSTALL_PATH_BYTES + 16];
	struct event *turn; /* a failure is told; the end is not waited for */
	bool failed;        /* which was told */
	char reason[SSH_POD_REASON_BYTES];
	const struct executor_events *events;
	void *ctx;
	void (*done)(void *ctx);
	void *done_ctx;
};
