/*
 * How a pod comes to be. An executor only knows how to make the place where a
 * script runs and to hand over its two byte streams; assigning, logs, signals,
 * exit and completion are shared code in pod.c. A new executor is a new file
 * and a line in executors[].
 *
 * All calls are made from the event loop and return at once; results arrive
 * through struct executor_events.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup_usage;
struct event_base;
struct option_list;
struct shares;
struct ssh_host;
struct executor;     /* one per kind and process; each .c has its own struct */
struct executor_pod; /* one pod; each .c has its own struct */

/* Whose byte stream; DOOR is the sidecar's door (door.h), SOCK_SEQPACKET. */
enum executor_side {
	EXECUTOR_SIDECAR,
	EXECUTOR_RUNNER,
	EXECUTOR_DOOR,
	EXECUTOR_SIDES,
};

struct executor_config {
	struct event_base *base;
	const char *run_dir;     /* RUN, absolute */
	const char *backend_dir; /* RUN/runtime: mounted where the sidecar is */
	const char *runner_path; /* cronium-runner, static */
	const char *sidecar_path;  /* cronium-sidecar (sandbox) */
	const char *docker_socket; /* /var/run/docker.sock */
	const char *sidecar_image; /* cronium/sidecar */
	/* The SDKs on this machine, with python/, node/ and bash/ in it; NULL
	 * where there are none. */
	const char *sdk_dir;
	const char *subnet_pool; /* "10.231.0.0/16": /29s for egress pods */
	const char *instance;    /* value of the label cronium.instance */
	/* ssh: NULL or empty lists are the defaults. */
	const struct option_list *ssh_keys;
	const char *ssh_known_hosts;
	const char *gateway_url; /* what scripts call in direct mode, or NULL */
	const struct shares *shares; /* what pods of capabilities are shown */
	/* How a sidecar logs whose log is ours; they outlive the executor. */
	const char *log_level, *log_format;
	/* executor_ops.problem() of one has changed; from the loop. */
	void (*on_problem)(void *ctx);
	void *ctx;
};

/* What a pod must be. Strings are valid during executor_ops.create only. */
struct executor_spec {
	const char *pod; /* pod_… */
	const char *execution;
	const char *job;
	const char *runtime; /* python | node | bash | bun */
	const char *image;   /* NULL: the runtime's own */
	/* The runner's --key ("base64:…"); "": it refuses every program. */
	const char *payload_key;
	bool egress;                 /* a network of its own */
	bool proxy;                  /* an egress proxy, and so a door */
	const struct ssh_host *host; /* NULL: here */
	bool unconfined;             /* every permission is granted */
	uint64_t memory_bytes;
	uint32_t cpu_milli; /* 1000 = one core */
	uint32_t pids;
	/* Of a capability: it is shown the shares of this machine, and its
	 * processes (executor_ops.machine). */
	bool shares, processes;
};

struct executor_events {
	/* A connected socket; the receiver owns it. The door comes before the
	 * runner's stream, where the pod has one. */
	void (*on_stream)(void *ctx, enum executor_side side, int fd);
	/* Something worth showing the user while waiting ("pulling image
	 * …"). */
	void (*on_progress)(void *ctx, const char *text);
	/* The pod cannot be made or died; once. reason is for the user: what,
	 * why, what next. */
	void (*on_failed)(void *ctx, const char *reason);
	/* What makes the pods has gone away, a sentence that says so. True:
	 * this one had not begun, and ends because of that. False: it has;
	 * what it dies of will be told. */
	bool (*on_away)(void *ctx, const char *reason);
};

/* A way out of a pod on a host: NAME:PORT inside leads to HOST:PORT outside. */
struct executor_door {
	const char *name;
	uint16_t port;
	const char *to;
};

/* What the runner's ASSIGN needs to know of the place. */
struct executor_place {
	const char *work_dir;    /* /work */
	int64_t uid, gid;        /* -1: the runner cannot change user */
	const char *runtime_api; /* http://localhost:8081 */
	const char *mode;        /* CRONIUM_EXECUTION_MODE */
	/* Where the executor has put sdk_dir inside the pod, read-only
	 * (/opt/cronium/sdk); NULL: not there, the image has its own. Then
	 * PYTHONPATH and PATH point into it; for Node, whose import knows no
	 * search path, the executor also shows node/ as
	 * /node_modules/cronium. */
	const char *sdk_dir;
	/* Where the executor shows the interpreter of a standalone runtime
	 * (runtime.h); NULL: the image has its own in PATH. */
	const char *bin_dir;
	/* Where a runner on a host finds the directory with Node's cronium;
	 * NULL: /node_modules has it. */
	const char *modules_dir;
	/* Hosts: what the runner opens; and whether there is none, because
	 * the script has the host's own network. */
	const struct executor_door *doors;
	size_t n_doors;
	bool own_net;
};

/* Pods of an earlier process that live on. */
struct executor_spare {
	const char *const *pods;
	size_t n;
};

/* spare may be NULL: none. */
bool executor_spares(const struct executor_spare *spare, const char *pod);

struct executor_ops {
	const char *name; /* "docker" */
	bool remote;      /* for jobs that name a host, and no others */
	/* Its pods have the machine's own programs, and may see its processes:
	 * what "auto" prefers for capabilities. */
	bool machine;
	/* 0, or negative errno with a sentence in err (not available here).
	 * config must outlive the executor. */
	int (*new)(struct executor **out, const struct executor_config *config,
		   char *err, size_t err_size);
	void (*free)(struct executor *e);
	/* NULL, or a sentence why no pod can be made for now, though it is no
	 * fault of the job's: it waits. NULL as a whole: there is never any. */
	const char *(*problem)(const struct executor *e);
	/* Removes what earlier processes of this instance left behind, but for
	 * spare, which is valid until it calls done. */
	void (*reap)(struct executor *e, const struct executor_spare *spare,
		     void (*done)(void *ctx), void *ctx);
	int (*create)(struct executor *e, const struct executor_spec *spec,
		      const struct executor_events *events, void *ctx,
		      struct executor_pod **out);
	/*
	 * What another process needs to take the pod up, a new reference; and
	 * that: as create, of a pod that is there already. It listens where
	 * the pod's sides look for their streams; one that is gone fails.
	 * NULL: its pods end with us.
	 */
	json_t *(*describe)(const struct executor_pod *pod);
	int (*adopt)(struct executor *e, const struct executor_spec *spec,
		     const json_t *description,
		     const struct executor_events *events, void *ctx,
		     struct executor_pod **out);
	void (*place)(struct executor_pod *pod, struct executor_place *out);
	/* SIGKILL to everything on the script's side. */
	void (*kill)(struct executor_pod *pod);
	/* True once the kernel killed something in the pod for want of
	 * memory. Asked after EXIT or the loss of the runner's stream. */
	bool (*oom_killed)(struct executor_pod *pod);
	/* What the script's side uses and has used, as far as can be seen from
	 * here; the rest of out stays as it is. NULL: nothing can. */
	void (*measure)(struct executor_pod *pod, struct cgroup_usage *out);
	/* Removes everything; no event afterwards; done (may be NULL) when
	 * nothing is left. pod is invalid after this call. */
	void (*destroy)(struct executor_pod *pod, void (*done)(void *ctx),
			void *ctx);
};

extern const struct executor_ops executor_docker;
extern const struct executor_ops executor_sandbox;
extern const struct executor_ops executor_ssh;

/* Every executor there is, the one that "auto" prefers first; ends in NULL. */
extern const struct executor_ops *const executors[];
/* NULL when there is none of this name. */
const struct executor_ops *executor_find(const char *name);
