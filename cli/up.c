#include "cli/up.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "backend-client/client.h"
#include "cli/child.h"
#include "cli/command.h"
#include "cli/idle_watch.h"
#include "cli/notify.h"
#include "cli/place.h"
#include "cli/socket_wait.h"
#include "cli/up_clients.h"
#include "common/log.h"
#include "common/options.h"

#define UP_READY_TIMEOUT_MS 60000
#define UP_RECONNECT_MIN_MS 2
#define UP_RECONNECT_MAX_MS 50
#define UP_ORCHESTRATOR_STOP_MS 20000
#define UP_GATEWAY_STOP_MS 10000
#define UP_BACKEND_STOP_MS 10000
#define UP_ARGS_MAX 640 /* --tools-allow may be there 256 times */

enum up_state { UP_STARTING, UP_READY, UP_STOPPING };

/* In the order in which they are stopped. */
enum { UP_ORCHESTRATOR, UP_GATEWAY, UP_BACKEND, UP_PROGRAMS };

struct up_program {
	const char *name;
	char path[PATH_MAX];
	const char *argv[UP_ARGS_MAX];
	size_t argc;
	struct child *child; /* NULL: it is not asked for */
};

struct up {
	const struct up_config *config;
	struct event_base *base;
	enum up_state state;
	struct up_program programs[UP_PROGRAMS];
	char api[PATH_MAX + 32], runtime[PATH_MAX + 32]; /* of the backend */
	char control[PATH_MAX + 32], door[PATH_MAX + 32], slots[24];
	struct socket_wait *gateway; /* until it listens */
	struct up_clients *clients;
	struct backend_client *client;
	struct idle_watch *idle; /* embedded only */
	struct event *signals[4];
	int exit_code;
};

/* --- stopping ------------------------------------------------------------ */

static void up_stop(struct up *u, const char *why)
{
	if (u->state == UP_STOPPING) {
		/* Asked twice: no more waiting. */
		for (size_t i = 0; i < UP_PROGRAMS; i++)
			child_signal(u->programs[i].child, SIGKILL);
		return;
	}
	u->state = UP_STOPPING;
	log_info(NULL, "stopping: %s", why);
	notify_send("STOPPING=1");
	up_clients_stop(u->clients);
	child_stop(u->programs[UP_ORCHESTRATOR].child);
}

static void up_fail(struct up *u, const char *why)
{
	if (u->state == UP_STOPPING)
		return;
	log_error(NULL, "%s", why);
	up_clients_failed(u->clients, why);
	u->exit_code = CLI_FAILED;
	up_stop(u, "it cannot go on");
}

/* --- children ------------------------------------------------------------ */

static void up_on_stopped(struct child *c, void *ctx)
{
	struct up *u = ctx;
	size_t i = 0;

	while (u->programs[i].child != c)
		i++;
	while (++i < UP_PROGRAMS)
		if (u->programs[i].child) {
			child_stop(u->programs[i].child);
			return;
		}
	event_base_loopbreak(u->base);
}

static const char *up_child_name(const struct up *u, const struct child *c)
{
	size_t i = 0;

	while (u->programs[i].child != c)
		i++;
	return u->programs[i].name;
}

/* Ending by itself at its first start is a mistake in the configuration, which
 * a restart does not mend; a crash is one that it may, and so is the end of one
 * that has been ready: somebody ended it. */
static bool up_on_exit(struct child *c, int status, bool first_start, void *ctx)
{
	struct up *u = ctx;
	bool was_ready = c != u->programs[UP_ORCHESTRATOR].child &&
			 u->state != UP_STARTING;
	char why[160], text[64];

	if (!first_start || WIFSIGNALED(status) || was_ready)
		return true;
	snprintf(why, sizeof(why),
		 "%s ended with %s when it was started; its own message is "
		 "above",
		 up_child_name(u, c),
		 child_status_text(status, text, sizeof(text)));
	up_fail(u, why);
	return false;
}

static void up_add(struct up_program *p, const char *option, const char *value)
{
	if (!value || p->argc + 3 > UP_ARGS_MAX)
		return;
	p->argv[p->argc++] = option;
	p->argv[p->argc++] = value;
}

/* program: the file's name; name: who it is in the log. Where nobody is left to
 * start an orchestrator anew the next one takes up its jobs; one that is told
 * to end would end them. */
static int up_prepare(struct up *u, struct up_program *p, const char *program,
		      const char *name, uint32_t stop_ms)
{
	const struct child_config config = {
		.name = name,
		.program = p->path,
		.argv = p->argv,
		.stop_ms = stop_ms,
		.death_signal = p == &u->programs[UP_ORCHESTRATOR] &&
						!u->config->embedded
					? SIGKILL
					: SIGTERM,
		.on_exit = up_on_exit,
		.on_stopped = up_on_stopped,
		.ctx = u,
	};

	if (place_program(program, p->path, sizeof(p->path)) < 0) {
		log_error(NULL,
			  "%s is neither beside cronium nor in $PATH: is the "
			  "installation complete?",
			  program);
		return -ENOENT;
	}
	p->name = name;
	p->argv[p->argc++] = program;
	up_add(p, "--log-level", u->config->log_level);
	up_add(p, "--log-format", u->config->log_format);
	return child_new(&p->child, u->base, &config);
}

static void up_add_list(struct up_program *p, const char *option,
			const struct option_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		up_add(p, option, list->items[i]);
}

static int up_prepare_backend(struct up *u)
{
	struct up_program *p = &u->programs[UP_BACKEND];
	const struct up_config *c = u->config;
	int r = up_prepare(u, p, "cronium-backend", "cronium-backend",
			   UP_BACKEND_STOP_MS);

	up_add(p, "--data-dir", c->place->data);
	up_add(p, "--run-dir", c->place->run);
	up_add(p, "--listen", c->listen);
	up_add(p, "--tls-cert", c->tls_cert);
	up_add(p, "--tls-key", c->tls_key);
	up_add(p, "--rate-forward", c->rate_forward);
	up_add(p, "--rate-tools", c->rate_tools);
	up_add(p, "--tools-dir", c->tools_dir);
	up_add(p, "--tools-ca-file", c->tools_ca_file);
	up_add_list(p, "--tools-allow", c->tools_allow);
	/* It may have a password, which an argument shows to everybody. */
	if (!r && c->store && *c->store &&
	    setenv("CRONIUM_STORE", c->store, 1) < 0)
		r = -errno;
	return r;
}

static int up_prepare_orchestrator(struct up *u)
{
	struct up_program *p = &u->programs[UP_ORCHESTRATOR];
	const struct up_config *c = u->config;
	int r = up_prepare(u, p, "cronium-orchestrator", "cronium-orchestrator",
			   UP_ORCHESTRATOR_STOP_MS);

	if (c->share_processes)
		p->argv[p->argc++] = "--share-processes";
	snprintf(u->api, sizeof(u->api), "unix:%s/api.sock", c->place->run);
	snprintf(u->slots, sizeof(u->slots), "%llu",
		 (unsigned long long)c->slots);
	up_add(p, "--data-dir", c->place->data);
	up_add(p, "--run-dir", c->place->run);
	up_add(p, "--backend", u->api);
	up_add(p, "--name", c->name);
	up_add(p, "--slots", c->slots ? u->slots : NULL);
	up_add(p, "--guard", c->guard);
	up_add(p, "--wal-keep-bytes", c->wal_keep_bytes);
	up_add(p, "--wal-keep-days", c->wal_keep_days);
	up_add(p, "--labels", c->labels);
	up_add_list(p, "--executors", c->executors);
	up_add_list(p, "--egress-allow", c->egress_allow);
	up_add_list(p, "--ssh-key", c->ssh_keys);
	up_add(p, "--ssh-known-hosts", c->ssh_known_hosts);
	up_add_list(p, "--share", c->shares);
	up_add(p, "--gateway-url", c->gateway.url);
	return r;
}

static int up_prepare_gateway(struct up *u)
{
	struct up_program *p = &u->programs[UP_GATEWAY];
	const struct up_gateway *c = &u->config->gateway;
	const char *run = u->config->place->run;
	int r;

	if (!c->listen)
		return 0;
	r = up_prepare(u, p, "cronium-sidecar", "gateway", UP_GATEWAY_STOP_MS);
	snprintf(u->control, sizeof(u->control),
		 "listen:%s/gateway/control.sock", run);
	snprintf(u->door, sizeof(u->door), "listen:%s/gateway/door.sock", run);
	snprintf(u->runtime, sizeof(u->runtime), "unix:%s/runtime/backend.sock",
		 run);
	p->argv[p->argc++] = "--gateway";
	up_add(p, "--listen", c->listen);
	up_add(p, "--tls-cert", c->cert);
	up_add(p, "--tls-key", c->key);
	up_add(p, "--control", u->control);
	up_add(p, "--door", u->door);
	up_add(p, "--backend", u->runtime);
	up_add(p, "--rate-requests", u->config->rate_requests);
	return r;
}

static int up_prepare_children(struct up *u)
{
	int r = up_prepare_backend(u);

	if (!r)
		r = up_prepare_orchestrator(u);
	return r ? r : up_prepare_gateway(u);
}

/* --- readiness ----------------------------------------------------------- */

static void up_become_ready(struct up *u)
{
	u->state = UP_READY;
	if (child_start(u->programs[UP_ORCHESTRATOR].child) < 0) {
		up_fail(u, "the orchestrator cannot be started");
		return;
	}
	log_info(NULL, "ready: %s%s", u->config->embedded ? "" : "API on ",
		 u->config->embedded ? "embedded" : u->config->listen);
	notify_send("READY=1");
	up_clients_ready(u->clients,
			 u->config->embedded ? "ready embedded" : "ready");
}

static void up_on_gateway(bool listens, void *ctx)
{
	struct up *u = ctx;

	if (u->state != UP_STARTING)
		return;
	if (listens)
		up_become_ready(u);
	else
		up_fail(u, "the gateway did not get ready in time");
}

/* Begun together with the backend, so that mostly it listens by now. */
static void up_await_gateway(struct up *u)
{
	const char *path = u->door + strlen("listen:");

	if (socket_wait_new(&u->gateway, u->base, path, UP_READY_TIMEOUT_MS,
			    up_on_gateway, u) < 0)
		up_fail(u, "the gateway cannot be waited for");
}

static void up_on_ready(struct backend_call *call,
			const struct backend_response *r, void *ctx)
{
	struct up *u = ctx;
	char why[256];

	if (u->state != UP_STARTING)
		return;
	if (r->error || r->status != 200) {
		snprintf(why, sizeof(why), "the backend did not get ready: %s",
			 r->error ? r->detail : "it answers, but not with 200");
		up_fail(u, why);
	} else if (u->programs[UP_GATEWAY].child) {
		up_await_gateway(u);
	} else {
		up_become_ready(u);
	}
}

static int up_connect(struct up *u)
{
	static const struct backend_call_ops ops = { .on_done = up_on_ready };
	static const struct backend_request ready = {
		.method = "GET",
		.path = "/readyz",
		.deadline_ms = UP_READY_TIMEOUT_MS,
		.retry = BACKEND_RETRY_SAFE,
	};
	struct backend_client_config config = BACKEND_CLIENT_CONFIG_DEFAULT;
	int r;

	config.endpoint = u->api;
	config.user_agent = "cronium-up/" CRONIUM_VERSION;
	config.backoff_initial_ms = UP_RECONNECT_MIN_MS;
	config.backoff_max_ms = UP_RECONNECT_MAX_MS;
	config.breaker_failures = UINT32_MAX; /* it is our own child */
	r = backend_client_new(&u->client, u->base, &config);
	if (r < 0)
		return r;
	return backend_client_call(u->client, &ready, &ops, u, NULL);
}

/* --- who needs us -------------------------------------------------------- */

static void up_on_idle(void *ctx)
{
	struct up *u = ctx;

	if (!up_clients_count(u->clients))
		up_stop(u, "nobody needs the embedded server any more");
}

static void up_on_abandoned(const char *job, void *ctx)
{
	struct up *u = ctx;

	if (u->idle && u->state == UP_READY)
		idle_watch_cancel_job(u->idle, job);
}

static void up_on_none(void *ctx)
{
	struct up *u = ctx;

	if (!u->idle)
		return;
	if (u->state == UP_STARTING)
		up_stop(u, "nobody waits for it any more");
	else if (u->state == UP_READY)
		idle_watch_check(u->idle);
}

static int up_accept_clients(struct up *u)
{
	static const struct up_clients_ops ops = {
		.on_abandoned = up_on_abandoned,
		.on_none = up_on_none,
	};
	int r = up_clients_new(&u->clients, u->base, u->config->listen_fd, &ops,
			       u);

	if (r < 0 || !u->config->embedded)
		return r;
	return idle_watch_new(&u->idle, u->base, u->client, up_on_idle, u);
}

/* --- signals ------------------------------------------------------------- */

static void up_on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	up_stop(arg, strsignal((int)number));
}

/* Also reaps what the children left behind where we are process 1. */
static void up_on_child_signal(evutil_socket_t fd, short what, void *arg)
{
	struct up *u = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < UP_PROGRAMS; i++)
			if (child_reaped(u->programs[i].child, pid, status))
				break;
}

/* With a gateway: what it reads from files may have changed. */
static void up_on_reload_signal(evutil_socket_t number, short what, void *arg)
{
	struct up *u = arg;

	child_signal(u->programs[UP_GATEWAY].child, SIGHUP);
}

static int up_watch_signals(struct up *u)
{
	u->signals[0] = evsignal_new(u->base, SIGTERM, up_on_stop_signal, u);
	u->signals[1] = evsignal_new(u->base, SIGINT, up_on_stop_signal, u);
	u->signals[2] = evsignal_new(u->base, SIGCHLD, up_on_child_signal, u);
	u->signals[3] = evsignal_new(u->base, SIGHUP,
				     u->config->gateway.listen
					     ? up_on_reload_signal
					     : up_on_stop_signal,
				     u);
	for (size_t i = 0; i < ARRAY_SIZE(u->signals); i++) {
		if (!u->signals[i])
			return -ENOMEM;
		event_add(u->signals[i], NULL);
	}
	return 0;
}

/* --- life ---------------------------------------------------------------- */

static int up_init(struct up *u)
{
	int r;

	u->base = event_base_new();
	r = u->base ? up_watch_signals(u) : -ENOMEM;
	if (!r)
		r = up_prepare_children(u);
	if (!r)
		r = up_connect(u);
	if (!r)
		r = up_accept_clients(u);
	if (!r)
		r = child_start(u->programs[UP_BACKEND].child);
	if (!r && u->programs[UP_GATEWAY].child)
		r = child_start(u->programs[UP_GATEWAY].child);
	return r;
}

static void up_deinit(struct up *u)
{
	idle_watch_free(u->idle);
	up_clients_free(u->clients);
	backend_client_free(u->client);
	socket_wait_free(u->gateway);
	for (size_t i = 0; i < UP_PROGRAMS; i++)
		child_free(u->programs[i].child);
	for (size_t i = 0; i < ARRAY_SIZE(u->signals); i++)
		if (u->signals[i])
			event_free(u->signals[i]);
	if (u->base)
		event_base_free(u->base);
}

int up_run(const struct up_config *config)
{
	struct up *u = calloc(1, sizeof(*u));
	int r, exit_code;

	if (!u)
		return CLI_FAILED;
	u->config = config;
	r = up_init(u);
	if (r < 0) {
		log_error(NULL, "cannot start: %s", strerror(-r));
		u->exit_code = CLI_FAILED;
	} else {
		event_base_dispatch(u->base);
	}
	up_deinit(u);
	exit_code = u->exit_code;
	free(u);
	return exit_code;
}
