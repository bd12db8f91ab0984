#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backend-client/client.h"
#include "backend-client/tls.h"
#include "common/clock.h"
#include "common/file_lock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/wal/replay.h"
#include "orchestrator/agent.h"
#include "orchestrator/config.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/journal.h"
#include "orchestrator/relay.h"
#include "orchestrator/sampler.h"
#include "orchestrator/wal.h"

#define MAIN_ERROR_BYTES 512
/* How long reaping may take on the way out. */
#define MAIN_LAST_REAP_MS 10000

struct main_state {
	struct config config;
	int lock_fd;
	char instance[ID_MAX_BYTES];
	char backend_dir[PATH_MAX], endpoint[PATH_MAX + 32];
	struct event_base *base;
	struct event *signals[2];
	struct event *last_reap;
	struct backend_client *client;
	struct relay *relay; /* NULL: the backend is on this machine */
	struct executor_config executor_config;
	struct executor_set *executors;
	struct sampler *sampler;
	struct wal *wal;
	struct journal *journal;
	struct agent *agent;
	struct executor_spare spare; /* while reaping */
	bool reaped;
	bool stopping;
};

/* --- the process ---------------------------------------------------------- */

/* Tokens pass through this memory: nobody may read it. */
static void main_harden(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* the leak check traces itself */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Every pod has a few descriptors. */
static void main_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warn(NULL, "the limit of open files stays as it is: %s",
			 strerror(errno));
}

/* --- identity ------------------------------------------------------------- */

/* Two orchestrators on one directory would reap each other's pods. One that
 * is on its way out (its supervisor was killed, say) is waited for. */
static int main_lock(struct main_state *m)
{
	char path[PATH_MAX + 32];
	int r;

	snprintf(path, sizeof(path), "%s/orchestrator.lock",
		 m->config.data_dir);
	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	r = m->lock_fd < 0 ? -errno : file_lock(m->lock_fd, FILE_LOCK_WAIT_MS);
	if (r < 0)
		log_error(NULL, "%s: %s", path,
			  r == -EBUSY ? "another orchestrator uses this "
					"directory; stop it, or give another "
					"--data-dir"
				      : strerror(-r));
	return r;
}

/* The lock's content is the instance: what pods are labelled with, so that a
 * later process knows them for its own. */
static int main_read_instance(struct main_state *m)
{
	ssize_t n = pread(m->lock_fd, m->instance, sizeof(m->instance) - 1, 0);

	m->instance[MAX(n, 0)] = '\0';
	if (id_valid("in", m->instance))
		return 0;
	id_new("in", m->instance);
	if (pwrite(m->lock_fd, m->instance, strlen(m->instance), 0) > 0)
		return 0;
	log_error(NULL, "cannot write the instance's identity: %s",
		  strerror(errno));
	return -1;
}

/* --- set up --------------------------------------------------------------- */

static void main_on_client_state(int on, const char *why, void *ctx)
{
	if (on)
		log_info(NULL, "backend: connected");
	else
		log_info(NULL, "backend: disconnected%s%s", why ? ": " : "",
			 why ? why : "");
}

static int main_set_up_client(struct main_state *m)
{
	const struct config_options *opt = &m->config.opt;
	struct backend_client_config c = BACKEND_CLIENT_CONFIG_DEFAULT;
	int r;

	backend_client_tls_enable();
	if (opt->backend)
		snprintf(m->endpoint, sizeof(m->endpoint), "%s", opt->backend);
	else
		snprintf(m->endpoint, sizeof(m->endpoint), "unix:%s/api.sock",
			 m->config.run_dir);
	c.endpoint = m->endpoint;
	c.bearer = *m->config.api_key ? m->config.api_key : NULL;
	c.ca_file = opt->ca_file;
	c.user_agent = "cronium-orchestrator/" CRONIUM_VERSION;
	r = backend_client_new(&m->client, m->base, &c);
	if (r < 0) {
		log_error(NULL, "--backend %s: %s", c.endpoint, strerror(-r));
		return -1;
	}
	backend_client_on_state(m->client, main_on_client_state, m);
	return 0;
}

static bool main_backend_is_local(const struct main_state *m)
{
	return !strncmp(m->endpoint, "unix:", 5);
}

/* Where sidecars find backend.sock: beside the api.sock of a backend that is
 * on this machine, else in our own run directory, where the relay makes it. */
static int main_set_up_backend_dir(struct main_state *m)
{
	const char *api = m->endpoint + strlen("unix:");
	const char *slash = strrchr(api, '/');
	char dir[sizeof(m->endpoint) + 16];

	if (main_backend_is_local(m) && slash)
		snprintf(dir, sizeof(dir), "%.*s/runtime", (int)(slash - api),
			 api);
	else
		snprintf(dir, sizeof(dir), "%s/runtime", m->config.run_dir);
	/* The backend makes it, too: who comes first. */
	if ((mkdir(dir, 0755) < 0 && errno != EEXIST) ||
	    !realpath(dir, m->backend_dir)) {
		log_error(NULL, "%s: %s", dir, strerror(errno));
		return -1;
	}
	return 0;
}

static int main_set_up_relay(struct main_state *m)
{
	char path[sizeof(m->backend_dir) + 16];
	int r;

	if (main_backend_is_local(m))
		return 0;
	snprintf(path, sizeof(path), "%s/backend.sock", m->backend_dir);
	r = relay_new(&m->relay, m->base, path, m->endpoint,
		      m->config.opt.ca_file);
	if (r < 0)
		log_error(NULL, "%s: %s%s", path, strerror(-r),
			  r == -ENAMETOOLONG ? "; choose a shorter --run-dir"
					     : "");
	return r;
}

static void main_on_executor_problem(void *ctx)
{
	struct main_state *m = ctx;

	if (m->agent)
		agent_check_executors(m->agent);
}

static int main_set_up_executors(struct main_state *m)
{
	const struct config_options *opt = &m->config.opt;

	m->executor_config = (struct executor_config){
		.base = m->base,
		.run_dir = m->config.run_dir,
		.backend_dir = m->backend_dir,
		.runner_path = m->config.runner,
		.sidecar_path = m->config.sidecar,
		.docker_socket = opt->docker_socket,
		.sidecar_image = opt->sidecar_image,
		.sdk_dir = opt->sdk_dir,
		.log_level = opt->log_level,
		.log_format = opt->log_format,
		.subnet_pool = opt->subnet_pool,
		.instance = m->instance,
		.ssh_keys = &opt->ssh_keys,
		.ssh_known_hosts = opt->ssh_known_hosts,
		.gateway_url = opt->gateway_url,
		.shares = &m->config.shares,
		.on_problem = main_on_executor_problem,
		.ctx = m,
	};
	char err[MAIN_ERROR_BYTES] = "out of memory";

	if (!executor_set_new(&m->executors, &m->executor_config,
			      &opt->executors, err, sizeof(err)))
		return 0;
	log_error(NULL, "%s", err);
	return -1;
}

/* What runs goes on. */
static void main_on_wal_problem(void *ctx)
{
	struct main_state *m = ctx;

	if (m->agent)
		agent_check_claims(m->agent);
}

static int main_set_up_wal(struct main_state *m)
{
	const struct wal_config c = {
		.base = m->base,
		.data_dir = m->config.data_dir,
		.instance = m->instance,
		.keep_bytes = m->config.opt.wal_keep_bytes,
		.keep_days = m->config.opt.wal_keep_days,
		.on_problem = main_on_wal_problem,
		.ctx = m,
	};
	char err[MAIN_ERROR_BYTES];

	if (wal_open(&m->wal, &c, err, sizeof(err)) < 0) {
		log_error(NULL, "%s", err);
		return -1;
	}
	if (journal_new(&m->journal, m->wal) < 0) {
		log_error(NULL, "out of memory");
		return -1;
	}
	return 0;
}

static void main_on_signal(int fd, short what, void *ctx);

static int main_set_up_loop(struct main_state *m)
{
	static const int signals[] = { SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	m->base = event_base_new();
	if (!m->base)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		m->signals[i] = evsignal_new(m->base, signals[i],
					     main_on_signal, m);
		if (!m->signals[i] || event_add(m->signals[i], NULL) < 0)
			return -1;
	}
	return 0;
}

static int main_set_up(struct main_state *m)
{
	main_raise_files();
	if (main_lock(m) < 0 || main_read_instance(m) < 0)
		return -1;
	if (main_set_up_loop(m) < 0) {
		log_error(NULL, "cannot set up the event loop");
		return -1;
	}
	if (main_set_up_client(m) < 0 || main_set_up_backend_dir(m) < 0 ||
	    main_set_up_relay(m) < 0)
		return -1;
	if (sampler_new(&m->sampler, m->base, m->config.data_dir) < 0) {
		log_error(NULL, "out of memory");
		return -1;
	}
	return main_set_up_executors(m) < 0 ? -1 : main_set_up_wal(m);
}

/* --- run ------------------------------------------------------------------ */

static void main_on_all_reaped(void *ctx)
{
	struct main_state *m = ctx;

	event_base_loopbreak(m->base);
}

static void main_on_last_reap_late(int fd, short what, void *ctx)
{
	log_warn(NULL, "reaping takes too long; the next start goes on");
	main_on_all_reaped(ctx);
}

static void main_on_agent_stopped(void *ctx)
{
	const struct timeval t = clock_timeval(MAIN_LAST_REAP_MS);
	struct main_state *m = ctx;

	m->last_reap = evtimer_new(m->base, main_on_last_reap_late, m);
	if (m->last_reap)
		event_add(m->last_reap, &t);
	executor_set_reap(m->executors, NULL, main_on_all_reaped, m);
}

static void main_on_signal(int fd, short what, void *ctx)
{
	struct main_state *m = ctx;

	log_info(NULL, "%s: stopping", fd == SIGINT ? "SIGINT" : "SIGTERM");
	m->stopping = true;
	if (m->reaped)
		agent_stop(m->agent, main_on_agent_stopped, m);
}

/* Nothing is claimed before the remains of earlier processes are gone. */
static void main_on_reaped(void *ctx)
{
	struct main_state *m = ctx;

	m->reaped = true;
	if (m->stopping) {
		agent_stop(m->agent, main_on_agent_stopped, m);
		return;
	}
	log_info(NULL, "agent %s, %u slots, executors %s", m->config.opt.name,
		 (unsigned int)m->config.opt.slots,
		 executor_set_names(m->executors));
	if (agent_begin(m->agent) < 0) {
		log_error(NULL, "out of memory");
		event_base_loopbreak(m->base);
	}
}

/* What is open in the write-ahead log. Damage was said when that was opened. */
static int main_replay(struct main_state *m, struct wal_replay **out)
{
	char dir[sizeof(m->config.data_dir) + sizeof(WAL_DIR_NAME) + 1];
	int r = wal_replay_new(out);

	snprintf(dir, sizeof(dir), "%s/" WAL_DIR_NAME, m->config.data_dir);
	if (!r)
		r = wal_replay_dir(*out, dir, NULL, NULL);
	if (r < 0)
		log_error(NULL, "the write-ahead log in %s cannot be read: %s",
			  dir, strerror(-r));
	return r;
}

static int main_start_agent(struct main_state *m)
{
	const struct agent_config c = {
		.base = m->base,
		.client = m->client,
		.executors = m->executors,
		.egress_allow = &m->config.egress_allow,
		.sampler = m->sampler,
		.guard = &m->config.guard,
		.offer = { &m->config.shares, m->config.opt.share_processes },
		.name = m->config.opt.name,
		.slots = (uint32_t)m->config.opt.slots,
		.labels = m->config.labels,
		.journal = m->journal,
	};
	struct wal_replay *past = NULL;
	int r = main_replay(m, &past);

	if (!r)
		r = agent_new(&m->agent, &c, past);
	wal_replay_free(past);
	return r;
}

static int main_run(struct main_state *m)
{
	if (main_start_agent(m) < 0)
		return EXIT_FAILURE;
	m->spare.pods = agent_spare(m->agent, &m->spare.n);
	executor_set_reap(m->executors, &m->spare, main_on_reaped, m);
	event_base_dispatch(m->base);
	return m->stopping ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void main_tear_down(struct main_state *m)
{
	agent_free(m->agent);
	sampler_free(m->sampler);
	journal_free(m->journal);
	wal_close(m->wal);
	executor_set_free(m->executors);
	relay_free(m->relay);
	backend_client_free(m->client);
	for (size_t i = 0; i < ARRAY_SIZE(m->signals); i++)
		if (m->signals[i])
			event_free(m->signals[i]);
	if (m->last_reap)
		event_free(m->last_reap);
	if (m->base)
		event_base_free(m->base);
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	config_deinit(&m->config);
	libevent_global_shutdown();
}

static void main_help(void)
{
	puts("Usage: cronium-orchestrator --data-dir DIR --run-dir DIR "
	     "[OPTION]...\n"
	     "Claims jobs from the backend and runs each in a pod.\n");
	options_help(config_specs, config_n_specs);
}

int main(int argc, char **argv)
{
	struct main_state m = { .lock_fd = -1 };
	char err[MAIN_ERROR_BYTES];
	int r = EXIT_FAILURE;

	main_harden();
	log_init("orchestrator", LOG_LEVEL_INFO);
	if (config_parse(&m.config, argc, argv, err, sizeof(err)) < 0) {
		fprintf(stderr, "cronium-orchestrator: %s\n", err);
		config_deinit(&m.config);
		return 2;
	}
	if (m.config.opt.help || m.config.opt.version) {
		if (m.config.opt.help)
			main_help();
		else
			puts(CRONIUM_VERSION);
		config_deinit(&m.config);
		return EXIT_SUCCESS;
	}
	log_init("orchestrator", m.config.log_level);
	log_set_format(m.config.log_format);
	if (!main_set_up(&m))
		r = main_run(&m);
	main_tear_down(&m);
	return r;
}
