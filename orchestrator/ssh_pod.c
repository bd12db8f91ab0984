#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "orchestrator/ssh_channel.h"
#include "orchestrator/ssh_connection.h"
#include "orchestrator/ssh_host.h"
#include "orchestrator/ssh_install.h"
#include "orchestrator/ssh_pod_impl.h"
#include "orchestrator/ssh_pool.h"
#include "orchestrator/ssh_sidecar.h"
#include "orchestrator/ssh_tunnel.h"

#define SSH_POD_COMMAND_BYTES 2048

static void ssh_pod_set_turn(struct executor_pod *pod, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(pod->turn, &tv);
}

/* --- the end -------------------------------------------------------------- */

/* Takes effect from the loop; the first reason counts. */
static void ssh_pod_fail(struct executor_pod *pod, const char *reason)
{
	if (pod->reason[0] || pod->state == SSH_POD_CLOSING)
		return;
	snprintf(pod->reason, sizeof(pod->reason), "%s", reason);
	ssh_pod_set_turn(pod, 0);
}

static void ssh_pod_close_ports(struct executor_pod *pod)
{
	for (size_t i = 0; i < SSH_POD_PORTS; i++) {
		ssh_tunnel_free(pod->ports[i].tunnel);
		pod->ports[i].tunnel = NULL;
		pod->ports[i].open = false;
	}
}

static void ssh_pod_drop_channel(struct executor_pod *pod)
{
	ssh_channel_free(pod->channel);
	pod->channel = NULL;
	pod->running = false;
	closep(&pod->runner_fd);
	pod->runner_fd = -1;
}

static void ssh_pod_release(struct executor_pod *pod)
{
	TAILQ_REMOVE(pod->list, pod, entry);
	ssh_pod_close_ports(pod);
	ssh_pod_drop_channel(pod);
	ssh_pool_release(&pod->lease);
	ssh_sidecar_free(pod->sidecar);
	if (pod->turn)
		event_free(pod->turn);
	free(pod->host);
	free(pod->execution);
	free(pod->payload_key);
	free(pod);
}

static void ssh_pod_check_gone(struct executor_pod *pod)
{
	void (*done)(void *ctx) = pod->done;
	void *ctx = pod->done_ctx;

	if (pod->state != SSH_POD_CLOSING || pod->running)
		return;
	ssh_pod_release(pod);
	if (done)
		done(ctx);
}

static void ssh_pod_on_turn(int fd, short what, void *ctx)
{
	struct executor_pod *pod = ctx;

	if (pod->state == SSH_POD_CLOSING) {
		ssh_pod_drop_channel(pod);
		ssh_pod_check_gone(pod);
	} else if (!pod->failed) {
		pod->failed = true;
		pod->events->on_failed(pod->ctx, pod->reason);
	}
}

/* --- UP ------------------------------------------------------------------- */

/* The receiver may destroy the pod from any of these calls. */
static void ssh_pod_hand_over(struct executor_pod *pod)
{
	int fd = ssh_sidecar_take_control(pod->sidecar);

	pod->state = SSH_POD_UP;
	pod->events->on_stream(pod->ctx, EXECUTOR_SIDECAR, fd);
	fd = ssh_sidecar_take_door(pod->sidecar);
	if (fd >= 0 && pod->state == SSH_POD_UP)
		pod->events->on_stream(pod->ctx, EXECUTOR_DOOR, fd);
	else if (fd >= 0)
		close(fd);
	if (pod->state != SSH_POD_UP)
		return;
	fd = pod->runner_fd;
	pod->runner_fd = -1;
	pod->events->on_stream(pod->ctx, EXECUTOR_RUNNER, fd);
}

/* --- FORWARDING ----------------------------------------------------------- */

static void ssh_pod_check_up(struct executor_pod *pod)
{
	for (size_t i = 0; i < SSH_POD_PORTS; i++)
		if (pod->ports[i].wanted && !pod->ports[i].open)
			return;
	if (pod->state == SSH_POD_FORWARDING && !pod->reason[0])
		ssh_pod_hand_over(pod);
}

static void ssh_pod_on_port_open(void *ctx, uint16_t port)
{
	struct ssh_pod_port *p = ctx;
	char reason[SSH_POD_REASON_BYTES];

	if (!port) {
		snprintf(reason, sizeof(reason),
			 "host %s refuses to forward a port (see "
			 "AllowTcpForwarding of its sshd); allow it, or "
			 "register the host with the mode direct",
			 p->pod->host->name);
		ssh_pod_fail(p->pod, reason);
		return;
	}
	p->open = true;
	snprintf(p->to, sizeof(p->to), "127.0.0.1:%u", port);
	ssh_pod_check_up(p->pod);
}

static void ssh_pod_on_connection(void *ctx, int fd)
{
	struct ssh_pod_port *p = ctx;

	ssh_sidecar_serve(p->pod->sidecar, p->serve, fd);
}

static void ssh_pod_forward(struct executor_pod *pod)
{
	static const struct ssh_tunnel_ops ops = {
		.on_open = ssh_pod_on_port_open,
		.on_connection = ssh_pod_on_connection,
	};

	pod->state = SSH_POD_FORWARDING;
	for (size_t i = 0; i < SSH_POD_PORTS; i++)
		if (pod->ports[i].wanted &&
		    ssh_tunnel_new(&pod->ports[i].tunnel, pod->connection, &ops,
				   &pod->ports[i]) < 0)
			ssh_pod_fail(pod, "out of memory");
	ssh_pod_check_up(pod);
}

/* --- STARTING ------------------------------------------------------------- */

static void ssh_pod_on_channel_open(void *ctx)
{
	struct executor_pod *pod = ctx;

	if (pod->state == SSH_POD_STARTING)
		ssh_pod_forward(pod);
}

static void ssh_pod_on_channel_end(void *ctx, const struct ssh_channel_end *end)
{
	const char *what = end->complaint;
	struct executor_pod *pod = ctx;
	char reason[SSH_POD_REASON_BYTES] = "";

	pod->running = false;
	if (end->cause == SSH_CHANNEL_REFUSED &&
	    pod->state == SSH_POD_STARTING) {
		pod->state = SSH_POD_WAITING;
		ssh_pod_drop_channel(pod);
		ssh_pool_refused(&pod->lease);
	} else if (end->cause == SSH_CHANNEL_ENDED) {
		snprintf(reason, sizeof(reason),
			 "the runner on host %s ended with exit code %d%s%s",
			 pod->host->name, end->status, *what ? ": " : "", what);
	} else if (end->cause == SSH_CHANNEL_BROKEN) {
		snprintf(reason, sizeof(reason),
			 pod->state == SSH_POD_UP
				 ? "%s; how far the script had come is not "
				   "known, and the runner there ends what is "
				   "left of it"
				 : "%s",
			 end->reason);
	} else {
		snprintf(reason, sizeof(reason),
			 "host %s starts no program for user %s: see "
			 "ForceCommand of its sshd",
			 pod->host->name, pod->host->user);
	}
	if (*reason)
		ssh_pod_fail(pod, reason);
	if (pod->state == SSH_POD_CLOSING)
		ssh_pod_set_turn(pod, 0);
}

static int ssh_pod_command(const struct executor_pod *pod, char *out,
			   size_t size)
{
	const struct ssh_install *install = ssh_connection_install(
		pod->connection);
	int n;

	n = snprintf(out, size,
		     "exec \"%s\" --stdio --key \"%s\" --limit-memory %llu "
		     "--limit-processes %u",
		     ssh_install_runner(install), pod->payload_key,
		     (unsigned long long)pod->memory_bytes, pod->pids);
	return n < 0 || (size_t)n >= size ? -E2BIG : 0;
}

static int ssh_pod_start_runner(struct executor_pod *pod)
{
	static const struct ssh_channel_ops ops = {
		.on_open = ssh_pod_on_channel_open,
		.on_end = ssh_pod_on_channel_end,
	};
	char command[SSH_POD_COMMAND_BYTES];
	int fds[2], r;

	r = ssh_pod_command(pod, command, sizeof(command));
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	r = ssh_channel_exec(&pod->channel, pod->connection, command, fds[0],
			     &ops, pod);
	if (r < 0) {
		close(fds[1]);
		return r;
	}
	pod->runner_fd = fds[1];
	pod->running = true;
	return 0;
}

/* --- WAITING -------------------------------------------------------------- */

static void ssh_pod_on_sidecar_ended(void *ctx, const char *reason)
{
	ssh_pod_fail(ctx, reason);
}

static int ssh_pod_start_sidecar(struct executor_pod *pod)
{
	const struct ssh_sidecar_spec spec = {
		.shared = pod->shared,
		.execution = pod->execution,
		.gateway = pod->host->direct,
		.door = pod->ports[SSH_POD_API].wanted ||
			pod->ports[SSH_POD_PROXY].wanted,
	};
	char reason[SSH_POD_REASON_BYTES] = "out of memory";
	int r;

	if (pod->sidecar)
		return 0;
	r = ssh_sidecar_new(&pod->sidecar, &spec, ssh_pod_on_sidecar_ended, pod,
			    reason, sizeof(reason));
	if (r < 0)
		ssh_pod_fail(pod, reason);
	return r;
}

static void ssh_pod_on_connected(void *ctx, struct ssh_connection *c)
{
	struct executor_pod *pod = ctx;
	int r;

	if (pod->state != SSH_POD_WAITING)
		return;
	pod->connection = c;
	pod->state = SSH_POD_STARTING;
	snprintf(pod->sdk, sizeof(pod->sdk), "%s",
		 ssh_install_sdk(ssh_connection_install(c)));
	snprintf(pod->modules, sizeof(pod->modules), "%s/node_modules",
		 pod->sdk);
	if (ssh_pod_start_sidecar(pod) < 0)
		return;
	r = ssh_pod_start_runner(pod);
	if (r < 0)
		ssh_pod_fail(pod, strerror(-r));
}

static void ssh_pod_on_progress(void *ctx, const char *text)
{
	struct executor_pod *pod = ctx;

	if (pod->state == SSH_POD_WAITING)
		pod->events->on_progress(pod->ctx, text);
}

static void ssh_pod_on_broken(void *ctx, const char *reason)
{
	struct executor_pod *pod = ctx;

	pod->connection = NULL;
	ssh_pod_fail(pod, reason);
}

/* --- life ----------------------------------------------------------------- */

static int ssh_pod_init(struct executor_pod *pod,
			const struct executor_spec *spec)
{
	static const struct ssh_lease_ops ops = {
		.on_progress = ssh_pod_on_progress,
		.on_ready = ssh_pod_on_connected,
		.on_broken = ssh_pod_on_broken,
	};

	pod->lease.ops = &ops;
	pod->lease.ctx = pod;
	pod->memory_bytes = spec->memory_bytes;
	pod->pids = spec->pids;
	pod->unconfined = spec->unconfined;
	pod->host = ssh_host_dup(spec->host);
	pod->execution = strdup(spec->execution);
	pod->payload_key = strdup(spec->payload_key ? spec->payload_key : "");
	if (!pod->host || !pod->execution || !pod->payload_key)
		return -ENOMEM;
	pod->ports[SSH_POD_API].wanted = !pod->host->direct;
	pod->ports[SSH_POD_API].serve = "api";
	pod->ports[SSH_POD_PROXY].wanted = spec->proxy && !spec->unconfined;
	pod->ports[SSH_POD_PROXY].serve = "proxy";
	for (size_t i = 0; i < SSH_POD_PORTS; i++)
		pod->ports[i].pod = pod;
	return 0;
}

/* What cannot work is not begun; what goes wrong is told from the loop. */
static int ssh_pod_begin(struct executor_pod *pod)
{
	char reason[SSH_POD_REASON_BYTES];

	if (!pod->host->direct || pod->shared->gateway_url)
		return ssh_pool_acquire(pod->shared->pool, pod->host,
					&pod->lease);
	snprintf(reason, sizeof(reason),
		 "host %s has the mode direct, and the orchestrator knows no "
		 "gateway: start it with --gateway-url, or register the host "
		 "with the mode tunnel",
		 pod->host->name);
	ssh_pod_fail(pod, reason);
	return 0;
}

int ssh_pod_new(const struct ssh_pod_shared *shared, struct ssh_pods *list,
		const struct executor_spec *spec,
		const struct executor_events *events, void *ctx,
		struct executor_pod **out)
{
	struct executor_pod *pod = calloc(1, sizeof(*pod));

	*out = NULL;
	if (!pod)
		return -ENOMEM;
	pod->shared = shared;
	pod->list = list;
	pod->events = events;
	pod->ctx = ctx;
	pod->runner_fd = -1;
	TAILQ_INSERT_TAIL(list, pod, entry);
	pod->turn = evtimer_new(shared->base, ssh_pod_on_turn, pod);
	if (!pod->turn || ssh_pod_init(pod, spec) < 0 ||
	    ssh_pod_begin(pod) < 0) {
		ssh_pod_release(pod);
		return -ENOMEM;
	}
	*out = pod;
	return 0;
}

/* Its stdin ends, and with that all that it has started. A signal would end
 * the runner alone. */
void ssh_pod_kill(struct executor_pod *pod)
{
	if (pod->running)
		ssh_channel_finish(pod->channel);
}

void ssh_pod_destroy(struct executor_pod *pod, void (*done)(void *ctx),
		     void *ctx)
{
	bool up = pod->state == SSH_POD_UP || pod->state == SSH_POD_FORWARDING;

	pod->state = SSH_POD_CLOSING;
	pod->done = done;
	pod->done_ctx = ctx;
	ssh_pod_close_ports(pod);
	ssh_pod_kill(pod);
	ssh_pod_set_turn(pod, up && pod->running ? SSH_POD_CLOSE_MS : 0);
}

void ssh_pod_free(struct executor_pod *pod)
{
	ssh_pod_release(pod);
}
