#include "orchestrator/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/agent_name.h"
#include "common/buf.h"
#include "common/docker_socket.h"
#include "common/file.h"
#include "common/sdk_dir.h"
#include "orchestrator/agent.h"

#define CONFIG_WHY_BYTES 320

#define OPT(field) offsetof(struct config_options, field)

const struct option_spec config_specs[] = {
	{ "data-dir", 'd', OPTION_STRING, OPT(data_dir), "DIR", NULL,
	  "what must last: the instance's identity" },
	{ "run-dir", 'r', OPTION_STRING, OPT(run_dir), "DIR", NULL,
	  "sockets: of the backend, and of pods" },
	{ "backend", 'b', OPTION_STRING, OPT(backend), "URL", NULL,
	  "unix:PATH or http(s)://HOST:PORT, several of the latter with "
	  "commas; default: unix:RUN-DIR/api.sock" },
	{ "api-key-file", 0, OPTION_STRING, OPT(api_key_file), "FILE", NULL,
	  "key for a backend on TCP; or $CRONIUM_API_KEY" },
	{ "ca-file", 0, OPTION_STRING, OPT(ca_file), "FILE", NULL,
	  "whom to trust for https, instead of the system's list" },
	{ "name", 'n', OPTION_STRING, OPT(name), "NAME", NULL,
	  "name of this agent; default: the host's" },
	{ "slots", 's', OPTION_UINT, OPT(slots), "N", "0",
	  "executions at a time; 0: 16 for each core" },
	{ "labels", 0, OPTION_STRING, OPT(labels), "K=V,...", NULL,
	  "what jobs may ask for with --on, such as zone=a,gpu=yes" },
	{ "executors", 'e', OPTION_LIST, OPT(executors), "LIST", NULL,
	  "docker, sandbox, ssh, with commas; default: what works here" },
	{ "docker-socket", 0, OPTION_STRING, OPT(docker_socket), "PATH", NULL,
	  "the Docker engine's socket; default: as $DOCKER_HOST says, or " DOCKER_SOCKET_DEFAULT },
	{ "sidecar-image", 0, OPTION_STRING, OPT(sidecar_image), "IMAGE", NULL,
	  "image of the sidecar in Docker pods" },
	{ "subnet-pool", 0, OPTION_STRING, OPT(subnet_pool), "CIDR",
	  "10.231.0.0/16", "where pods with network egress get their /29" },
	{ "egress-allow", 0, OPTION_LIST, OPT(egress_allow), "HOST|CIDR[:PORT]",
	  NULL,
	  "targets outside the public internet that jobs with --allow-net may "
	  "reach; repeatable" },
	{ "ssh-key", 0, OPTION_LIST, OPT(ssh_keys), "FILE", NULL,
	  "private key to log in to hosts with; repeatable; default: "
	  "~/.ssh/id_ed25519, id_ecdsa, id_rsa, and the agent" },
	{ "ssh-known-hosts", 0, OPTION_STRING, OPT(ssh_known_hosts), "FILE",
	  NULL,
	  "the keys of hosts that have none pinned; default: "
	  "~/.ssh/known_hosts" },
	{ "share", 0, OPTION_LIST, OPT(shares), "[HOST:]PATH[:rw]", NULL,
	  "directory that capabilities may reach, of this machine, or of a "
	  "host or (*) all of them; to read, or also to write; repeatable" },
	{ "share-processes", 0, OPTION_FLAG, OPT(share_processes), NULL, NULL,
	  "let the capability process.kill signal this machine's processes" },
	{ "gateway-url", 0, OPTION_STRING, OPT(gateway_url), "URL", NULL,
	  "what scripts on hosts of the mode direct call" },
	{ "guard", 0, OPTION_STRING, OPT(guard), "LIST", NULL,
	  "when no job is started: percent of each, or off; or "
	  "$CRONIUM_GUARD; default: " GUARD_DEFAULTS },
	{ "runner", 0, OPTION_STRING, OPT(runner), "PATH", NULL,
	  "cronium-runner; default: beside this program" },
	{ "sidecar", 0, OPTION_STRING, OPT(sidecar), "PATH", NULL,
	  "cronium-sidecar; default: beside this program" },
	{ "sdk-dir", 0, OPTION_STRING, OPT(sdk_dir), "DIR", NULL,
	  "the SDKs for pods without their own; default: found near this "
	  "program" },
	{ "wal-keep-bytes", 0, OPTION_BYTES, OPT(wal_keep_bytes), "SIZE",
	  "256m", "how much of the write-ahead log is kept" },
	{ "wal-keep-days", 0, OPTION_UINT, OPT(wal_keep_days), "N", "14",
	  "how long it is kept; what is still needed stays anyhow" },
	{ "log-level", 'l', OPTION_STRING, OPT(log_level), "LEVEL", "info",
	  "error, warn, info or debug" },
	{ "log-format", 0, OPTION_STRING, OPT(log_format), "FORMAT", "logfmt",
	  LOG_FORMAT_HELP },
	{ "help", 'h', OPTION_FLAG, OPT(help), NULL, NULL,
	  "print this and exit" },
	{ "version", 0, OPTION_FLAG, OPT(version), NULL, NULL,
	  "print the version and exit" },
};
const size_t config_n_specs = ARRAY_SIZE(config_specs);

static int config_fail(char *err, size_t err_size, const char *option,
		       const char *value, const char *why)
{
	snprintf(err, err_size, "--%s %s: %s", option, value ? value : "", why);
	return -EINVAL;
}

/* --- paths ---------------------------------------------------------------- */

/* Makes the directory and its parents as needed; out is absolute. */
static int config_make_dir(const char *option, const char *dir, mode_t mode,
			   char out[PATH_MAX], char *err, size_t err_size)
{
	int r;

	if (!dir)
		return config_fail(err, err_size, option, "DIR",
				   "is needed; see --help");
	r = file_make_dirs(dir, mode);
	if (r < 0)
		return config_fail(err, err_size, option, dir, strerror(-r));
	if (!realpath(dir, out))
		return config_fail(err, err_size, option, dir, strerror(errno));
	return 0;
}

/* The directory of this program. */
static int config_exe_dir(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

/* path, or name beside this program; it must be there. */
static int config_find_program(const char *path, const char *name,
			       const char *option, char out[PATH_MAX],
			       char *err, size_t err_size)
{
	char dir[PATH_MAX], guess[PATH_MAX + 32];

	if (!path && !config_exe_dir(dir)) {
		snprintf(guess, sizeof(guess), "%s/%s", dir, name);
		path = guess;
	}
	if (!path || !realpath(path, out) || access(out, X_OK) < 0)
		return config_fail(err, err_size, option, path ? path : name,
				   strerror(errno));
	return 0;
}

static int config_find_sdk(struct config *c, char *err, size_t err_size)
{
	int r = sdk_dir_find(c->opt.sdk_dir, c->sdk_dir);

	if (r < 0 && c->opt.sdk_dir)
		return config_fail(err, err_size, "sdk-dir", c->opt.sdk_dir,
				   strerror(-r));
	if (!r)
		c->opt.sdk_dir = c->sdk_dir;
	return 0;
}

static int config_complete_paths(struct config *c, char *err, size_t err_size)
{
	int r;

	r = config_make_dir("data-dir", c->opt.data_dir, 0700, c->data_dir, err,
			    err_size);
	if (!r)
		r = config_make_dir("run-dir", c->opt.run_dir, 0755, c->run_dir,
				    err, err_size);
	if (!r)
		r = config_find_program(c->opt.runner, "cronium-runner",
					"runner", c->runner, err, err_size);
	if (!r)
		r = config_find_program(c->opt.sidecar, "cronium-sidecar",
					"sidecar", c->sidecar, err, err_size);
	if (!r)
		r = config_find_sdk(c, err, err_size);
	return r;
}

/* --- the backend ---------------------------------------------------------- */

static int config_read_key_file(struct config *c, char *err, size_t err_size)
{
	_cleanup_close_ int fd = open(c->opt.api_key_file,
				      O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, c->api_key, sizeof(c->api_key) - 1);

	if (n < 0)
		return config_fail(err, err_size, "api-key-file",
				   c->opt.api_key_file, strerror(errno));
	c->api_key[n] = '\0';
	return 0;
}

/* From the file, else from the environment, which then forgets it: what is
 * started from here must not inherit it. */
static int config_read_key(struct config *c, char *err, size_t err_size)
{
	const char *env = getenv("CRONIUM_API_KEY");
	int r = 0;

	if (c->opt.api_key_file)
		r = config_read_key_file(c, err, err_size);
	else if (env)
		snprintf(c->api_key, sizeof(c->api_key), "%s", env);
	unsetenv("CRONIUM_API_KEY");
	c->api_key[strcspn(c->api_key, "\r\n")] = '\0';
	for (const char *p = c->api_key; !r && *p; p++)
		if (!isgraph((unsigned char)*p))
			return config_fail(err, err_size, "api-key-file", "",
					   "the key has characters that no "
					   "key has");
	return r;
}

static int config_read_egress(struct config *c, char *err, size_t err_size)
{
	const struct option_list *list = &c->opt.egress_allow;
	char why[CONFIG_WHY_BYTES];
	int r = 0;

	for (size_t i = 0; !r && i < list->n; i++) {
		r = allow_list_add(&c->egress_allow, list->items[i], why,
				   sizeof(why));
		if (r == -EINVAL)
			snprintf(err, err_size, "--egress-allow %s", why);
	}
	return r;
}

static int config_check_wal(const struct config *c, char *err, size_t err_size)
{
	if (!c->opt.wal_keep_bytes)
		return config_fail(err, err_size, "wal-keep-bytes", "0",
				   "give a size, such as 256m");
	if (!c->opt.wal_keep_days || c->opt.wal_keep_days > CONFIG_WAL_DAYS_MAX)
		return config_fail(err, err_size, "wal-keep-days", "",
				   "give 1 to 36500");
	return 0;
}

/* The environment is for those who cannot give options: an embedded server's
 * user, say. */
static int config_read_guard(struct config *c, char *err, size_t err_size)
{
	const char *env = getenv("CRONIUM_GUARD");
	_cleanup_(buf_deinit) struct buf why = { 0 };
	const char *text = GUARD_DEFAULTS, *from = "--guard";
	int r;

	if (c->opt.guard) {
		text = c->opt.guard;
	} else if (env && *env) {
		text = env;
		from = "CRONIUM_GUARD";
	}
	r = guard_config_parse(&c->guard, text, &why);
	if (!r)
		return 0;
	snprintf(err, err_size, "%s: %.*s", from, (int)why.len,
		 (char *)why.data);
	return -EINVAL;
}

/* Once it is known where our own data lie. */
static int config_read_shares(struct config *c, char *err, size_t err_size)
{
	const char *const kept[] = { c->data_dir, c->run_dir, NULL };
	const struct option_list *list = &c->opt.shares;
	int r = 0;

	for (size_t i = 0; !r && i < list->n; i++)
		r = shares_add(&c->shares, list->items[i], kept, err, err_size);
	return r;
}

static int config_complete(struct config *c, char *err, size_t err_size)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	char why[CONFIG_WHY_BYTES];

	if (log_level_parse(c->opt.log_level, &c->log_level) < 0)
		return config_fail(err, err_size, "log-level", c->opt.log_level,
				   "give error, warn, info or debug");
	if (log_format_parse(c->opt.log_format, &c->log_format) < 0)
		return config_fail(err, err_size, "log-format",
				   c->opt.log_format, "give logfmt or json");
	if (!c->opt.name) {
		gethostname(c->name, sizeof(c->name) - 1);
		c->opt.name = c->name;
	}
	if (!agent_name_valid(c->opt.name))
		return config_fail(err, err_size, "name", c->opt.name,
				   "give " AGENT_NAME_RULE);
	if (agent_labels_parse(c->opt.labels ? c->opt.labels : "", c->labels,
			       why, sizeof(why)))
		return config_fail(err, err_size, "labels", c->opt.labels, why);
	if (!c->opt.docker_socket)
		c->opt.docker_socket = docker_socket_path();
	if (!c->opt.slots)
		c->opt.slots = (uint64_t)MAX(cores, 1) * CONFIG_SLOTS_PER_CORE;
	if (c->opt.slots > CONFIG_SLOTS_MAX)
		return config_fail(err, err_size, "slots", "",
				   "give 4096 at most");
	if (config_check_wal(c, err, err_size) < 0 ||
	    config_read_egress(c, err, err_size) < 0 ||
	    config_read_guard(c, err, err_size) < 0)
		return -EINVAL;
	return config_read_key(c, err, err_size);
}

int config_parse(struct config *c, int argc, char **argv, char *err,
		 size_t err_size)
{
	int first, r;

	r = options_parse(config_specs, config_n_specs, argc, argv, false,
			  &c->opt, &first, err, err_size);
	if (r < 0 || c->opt.help || c->opt.version)
		return r;
	if (first < argc) {
		snprintf(err, err_size, "unexpected word '%s'; see --help",
			 argv[first]);
		return -EINVAL;
	}
	r = config_complete(c, err, err_size);
	if (!r)
		r = config_complete_paths(c, err, err_size);
	if (!r)
		r = config_read_shares(c, err, err_size);
	return r;
}

void config_deinit(struct config *c)
{
	explicit_bzero(c->api_key, sizeof(c->api_key));
	free(c->opt.executors.items);
	free(c->opt.egress_allow.items);
	free(c->opt.ssh_keys.items);
	free(c->opt.shares.items);
	shares_deinit(&c->shares);
	allow_list_deinit(&c->egress_allow);
}
