#include "orchestrator/sandbox_pod.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/id.h"
#include "orchestrator/cgroup.h"
#include "orchestrator/control_socket.h"
#include "orchestrator/pod_dir.h"

#define SANDBOX_POD_RETRY_MS 2 /* while the kernel takes a cgroup down */
#define SANDBOX_POD_FREE_MAX_MS 2000

enum sandbox_pod_state {
	SANDBOX_POD_CREATED,
	SANDBOX_POD_ANNOUNCED,
	SANDBOX_POD_DEAD,
	SANDBOX_POD_DESTROYING,
};

struct executor_pod {
	TAILQ_ENTRY(executor_pod) entry;
	enum sandbox_pod_state state;
	struct sandbox_pods *list;
	struct sandbox_parts parts;
	bool adopted;       /* by sandbox_pod_adopt() */
	struct event *turn; /* announce, then the retries of destroy */
	char reason[SANDBOX_PARTS_REASON_BYTES]; /* why it failed, or "" */
	char name[ID_MAX_BYTES];
	/* Where the sides of one that was taken up look for us. */
	struct control_socket *sockets[EXECUTOR_SIDES];
	const struct executor_events *events;
	void *ctx;
	void (*done)(void *ctx);
	void *done_ctx;
};

static void sandbox_pod_set_turn(struct executor_pod *pod, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(pod->turn, &tv);
}

static void sandbox_pod_die(struct executor_pod *pod)
{
	if (pod->state >= SANDBOX_POD_DEAD)
		return;
	pod->state = SANDBOX_POD_DEAD;
	sandbox_parts_kill(&pod->parts);
	pod->events->on_failed(pod->ctx, pod->reason);
}

static void sandbox_side_hand_over(struct executor_pod *pod,
				   enum executor_side which)
{
	struct sandbox_side *side = which == EXECUTOR_RUNNER
					    ? &pod->parts.runner
					    : &pod->parts.sidecar;
	int fd = side->stream;

	side->stream = -1;
	pod->events->on_stream(pod->ctx, which, fd);
}

static void sandbox_pod_hand_over_door(struct executor_pod *pod)
{
	int fd = pod->parts.door;

	pod->parts.door = -1;
	pod->events->on_stream(pod->ctx, EXECUTOR_DOOR, fd);
}

/* The receiver may destroy the pod from any of these calls. */
static void sandbox_pod_announce(struct executor_pod *pod)
{
	if (pod->reason[0]) {
		sandbox_pod_die(pod);
		return;
	}
	if (pod->state == SANDBOX_POD_CREATED)
		pod->state = SANDBOX_POD_ANNOUNCED;
	if (pod->adopted)
		return;
	sandbox_side_hand_over(pod, EXECUTOR_SIDECAR);
	if (pod->state != SANDBOX_POD_DESTROYING && pod->parts.door >= 0)
		sandbox_pod_hand_over_door(pod);
	if (pod->state != SANDBOX_POD_DESTROYING)
		sandbox_side_hand_over(pod, EXECUTOR_RUNNER);
}

static void sandbox_pod_runner_ended(struct executor_pod *pod, int status)
{
	char line[256];

	if (pod->adopted) {
		snprintf(pod->reason, sizeof(pod->reason), "the sandbox ended");
		return;
	}

	sandbox_parts_complaint(&pod->parts, line, sizeof(line));
	snprintf(pod->reason, sizeof(pod->reason),
		 "the sandbox ended by %s %d%s%s",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 line[0] ? ": " : "", line);
}

static void sandbox_pod_sidecar_ended(struct executor_pod *pod, int status)
{
	snprintf(pod->reason, sizeof(pod->reason),
		 "the sidecar ended by %s %d: its log says why",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void sandbox_pod_step_destroy(struct executor_pod *pod);

static void sandbox_pod_on_ended(struct executor_pod *pod,
				 struct sandbox_side *side)
{
	int status = sandbox_process_reap(&side->process);

	if (status < 0)
		return;
	event_del(side->ended);
	if (pod->state == SANDBOX_POD_DESTROYING) {
		sandbox_pod_step_destroy(pod);
		return;
	}
	if (side == &pod->parts.runner)
		sandbox_pod_runner_ended(pod, status);
	else
		sandbox_pod_sidecar_ended(pod, status);
	/* Not before it was announced: on_stream comes first, then this. */
	if (pod->state == SANDBOX_POD_ANNOUNCED)
		sandbox_pod_die(pod);
}

static void sandbox_pod_on_runner_ended(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	sandbox_pod_on_ended(pod, &pod->parts.runner);
}

static void sandbox_pod_on_sidecar_ended(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	sandbox_pod_on_ended(pod, &pod->parts.sidecar);
}

static void sandbox_pod_on_turn(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	if (pod->state == SANDBOX_POD_DESTROYING)
		sandbox_pod_step_destroy(pod);
	else
		sandbox_pod_announce(pod);
}

static int sandbox_side_watch(struct executor_pod *pod,
			      struct sandbox_side *side,
			      void (*on_ended)(int, short, void *))
{
	if (!side->process.pid)
		return 0;
	side->ended = event_new(pod->parts.shared->base, side->process.pidfd,
				EV_READ | EV_PERSIST, on_ended, pod);
	if (!side->ended || event_add(side->ended, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* What goes wrong is told from the loop. */
static void sandbox_pod_start(struct executor_pod *pod,
			      const struct executor_spec *spec)
{
	if (spec->egress)
		snprintf(pod->reason, sizeof(pod->reason),
			 "a sandbox has no way to the network: run the job "
			 "with the docker executor or with network none");
	else if (sandbox_parts_start(&pod->parts, spec, pod->reason) < 0)
		sandbox_parts_kill(&pod->parts);
}

static struct executor_pod *sandbox_pod_alloc(
	const struct sandbox_shared *shared, struct sandbox_pods *list,
	const char *name, const struct executor_events *events, void *ctx)
{
	struct executor_pod *pod = calloc(1, sizeof(*pod));

	if (!pod)
		return NULL;
	sandbox_parts_init(&pod->parts, shared);
	snprintf(pod->name, sizeof(pod->name), "%s", name);
	pod->list = list;
	pod->events = events;
	pod->ctx = ctx;
	TAILQ_INSERT_TAIL(list, pod, entry);
	pod->turn = evtimer_new(shared->base, sandbox_pod_on_turn, pod);
	return pod;
}

/* Its processes are there, or pod->reason says why not. */
static int sandbox_pod_begin(struct executor_pod *pod,
			     struct executor_pod **out)
{
	if (sandbox_side_watch(pod, &pod->parts.runner,
			       sandbox_pod_on_runner_ended) < 0 ||
	    sandbox_side_watch(pod, &pod->parts.sidecar,
			       sandbox_pod_on_sidecar_ended) < 0) {
		sandbox_pod_free(pod);
		return -ENOMEM;
	}
	sandbox_pod_set_turn(pod, 0);
	*out = pod;
	return 0;
}

int sandbox_pod_new(const struct sandbox_shared *shared,
		    struct sandbox_pods *list, const struct executor_spec *spec,
		    const struct executor_events *events, void *ctx,
		    struct executor_pod **out)
{
	struct executor_pod *pod = sandbox_pod_alloc(shared, list, spec->pod,
						     events, ctx);

	if (!pod || !pod->turn) {
		sandbox_pod_free(pod);
		return -ENOMEM;
	}
	sandbox_pod_start(pod, spec);
	return sandbox_pod_begin(pod, out);
}

json_t *sandbox_pod_describe(const struct executor_pod *pod)
{
	return sandbox_parts_describe(&pod->parts);
}

static void sandbox_pod_on_sidecar_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_SIDECAR, fd);
}

static void sandbox_pod_on_runner_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_RUNNER, fd);
}

static void sandbox_pod_on_door_fd(void *ctx, int fd)
{
	struct executor_pod *pod = ctx;

	pod->events->on_stream(pod->ctx, EXECUTOR_DOOR, fd);
}

static int sandbox_pod_listen(struct executor_pod *pod, enum executor_side side,
			      const char *dir, const char *name,
			      void (*on_fd)(void *ctx, int fd))
{
	const struct sandbox_shared *shared = pod->parts.shared;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/pods/%s/%s", shared->run_dir,
		 pod->name, dir);
	return control_socket_new(&pod->sockets[side], shared->base, path, name,
				  NULL, on_fd, pod);
}

static int sandbox_pod_listen_all(struct executor_pod *pod, bool door)
{
	int r = pod_dir_make(pod->parts.shared->run_dir, pod->name);

	if (!r)
		r = sandbox_pod_listen(pod, EXECUTOR_SIDECAR, "sidecar",
				       CONTROL_SOCKET_NAME,
				       sandbox_pod_on_sidecar_fd);
	if (!r && door)
		r = sandbox_pod_listen(pod, EXECUTOR_DOOR, "sidecar",
				       CONTROL_SOCKET_DOOR,
				       sandbox_pod_on_door_fd);
	if (!r)
		r = sandbox_pod_listen(pod, EXECUTOR_RUNNER, "runner",
				       CONTROL_SOCKET_NAME,
				       sandbox_pod_on_runner_fd);
	return r;
}

int sandbox_pod_adopt(const struct sandbox_shared *shared,
		      struct sandbox_pods *list,
		      const struct executor_spec *spec, const json_t *described,
		      const struct executor_events *events, void *ctx,
		      struct executor_pod **out)
{
	struct executor_pod *pod = sandbox_pod_alloc(shared, list, spec->pod,
						     events, ctx);
	int r = -ENOMEM;

	if (pod && pod->turn) {
		pod->adopted = true;
		r = sandbox_parts_adopt(&pod->parts, spec, described,
					pod->reason);
	}
	if (!r)
		r = sandbox_pod_listen_all(pod, spec->proxy);
	if (r < 0 && (!pod || !pod->reason[0])) {
		sandbox_pod_free(pod);
		return r;
	}
	return sandbox_pod_begin(pod, out);
}

const struct sandbox_shared *sandbox_pod_shared(const struct executor_pod *pod)
{
	return pod->parts.shared;
}

void sandbox_pod_kill(struct executor_pod *pod)
{
	/* The end of the runner's stream tells the rest. */
	if (pod->state < SANDBOX_POD_DEAD)
		pod->state = SANDBOX_POD_DEAD;
	sandbox_parts_kill(&pod->parts);
}

bool sandbox_pod_oom_killed(struct executor_pod *pod)
{
	const struct cgroup *cgroup = pod->parts.runner.cgroup;

	return cgroup && cgroup_oom_killed(cgroup);
}

void sandbox_pod_measure(struct executor_pod *pod, struct cgroup_usage *out)
{
	const struct cgroup *cgroup = pod->parts.runner.cgroup;

	if (cgroup)
		cgroup_measure(cgroup, out);
}

static void sandbox_pod_close_sockets(struct executor_pod *pod)
{
	for (size_t i = 0; i < EXECUTOR_SIDES; i++) {
		control_socket_free(pod->sockets[i]);
		pod->sockets[i] = NULL;
	}
}

static void sandbox_pod_release(struct executor_pod *pod)
{
	TAILQ_REMOVE(pod->list, pod, entry);
	sandbox_pod_close_sockets(pod);
	pod_dir_remove(pod->parts.shared->run_dir, pod->name);
	sandbox_parts_deinit(&pod->parts);
	if (pod->turn)
		event_free(pod->turn);
	free(pod);
}

static void sandbox_pod_step_destroy(struct executor_pod *pod)
{
	void (*done)(void *ctx) = pod->done;
	void *ctx = pod->done_ctx;

	if (sandbox_parts_gone(&pod->parts)) {
		sandbox_pod_release(pod);
		if (done)
			done(ctx);
	} else if (!pod->parts.runner.process.pid &&
		   !pod->parts.sidecar.process.pid) {
		/* No event tells when the kernel has emptied a cgroup. */
		sandbox_pod_set_turn(pod, SANDBOX_POD_RETRY_MS);
	}
}

void sandbox_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
			 void *ctx)
{
	pod->state = SANDBOX_POD_DESTROYING;
	pod->done = done;
	pod->done_ctx = ctx;
	sandbox_pod_close_sockets(pod);
	sandbox_pod_set_turn(pod, 0);
}

void sandbox_pod_free(struct executor_pod *pod)
{
	int ms = 0;

	if (!pod)
		return;

	while (!sandbox_parts_gone(&pod->parts) &&
	       ms < SANDBOX_POD_FREE_MAX_MS) {
		sandbox_parts_wait(&pod->parts);
		usleep(SANDBOX_POD_RETRY_MS * 1000);
		ms += SANDBOX_POD_RETRY_MS;
	}
	sandbox_pod_release(pod);
}
