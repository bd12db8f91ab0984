/* cronium up: the server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/command.h"
#include "cli/local.h"
#include "cli/output.h"
#include "cli/place.h"
#include "cli/up.h"
#include "common/log.h"

#define UP_INHERITED_FD 3 /* RUN/up.sock, from the CLI that starts us */

struct up_options {
	struct cli_globals globals;
	const char *listen, *tls_cert, *tls_key, *log_level, *log_format, *name;
	const char *rate_forward, *rate_tools, *labels;
	uint64_t slots;
	const char *guard, *wal_keep_bytes, *wal_keep_days;
	const char *store, *tools_dir, *tools_ca_file;
	struct option_list executors, tools_allow, egress_allow, ssh_keys;
	struct option_list shares;
	bool share_processes;
	const char *ssh_known_hosts;
	struct up_gateway gateway;
	const char *rate_requests;
	bool embedded;
};

#define UP_OPTION(name, letter, type, field, arg, initial, help)               \
	CLI_OPTION(name, letter, type, struct up_options, field, arg, initial, \
		   help)

static const struct option_spec up_specs[] = {
	UP_OPTION("listen", 0, OPTION_STRING, listen, "HOST:PORT",
		  "127.0.0.1:8642",
		  "where the API answers; none: nowhere "
		  "but on RUN/api.sock"),
	UP_OPTION("store", 0, OPTION_STRING, store, "URL", NULL,
		  "sqlite:PATH or postgresql://…, also CRONIUM_STORE; "
		  "default: sqlite:DATA/cronium.db"),
	UP_OPTION("tls-cert", 0, OPTION_STRING, tls_cert, "FILE", NULL,
		  "certificate chain, PEM: https"),
	UP_OPTION("tls-key", 0, OPTION_STRING, tls_key, "FILE", NULL,
		  "its private key, PEM"),
	UP_OPTION("name", 0, OPTION_STRING, name, "NAME", NULL,
		  "name of the orchestrator; default: the host's"),
	UP_OPTION("slots", 0, OPTION_UINT, slots, "N", "0",
		  "jobs at a time; 0: by the number of cores"),
	UP_OPTION("labels", 0, OPTION_STRING, labels, "K=V,...", NULL,
		  "of the orchestrator: what jobs may ask for with --on"),
	UP_OPTION("executors", 0, OPTION_LIST, executors, "LIST", NULL,
		  "docker, sandbox, ssh, with commas; default: what works "
		  "here"),
	UP_OPTION("guard", 0, OPTION_STRING, guard, "LIST", NULL,
		  "when no job is started, as of cronium-orchestrator; or off; "
		  "or $CRONIUM_GUARD"),
	UP_OPTION("wal-keep-bytes", 0, OPTION_STRING, wal_keep_bytes, "SIZE",
		  NULL,
		  "how much of the orchestrator's log of what happened is "
		  "kept; default: 256m"),
	UP_OPTION("wal-keep-days", 0, OPTION_STRING, wal_keep_days, "N", NULL,
		  "how long it is kept; default: 14"),
	UP_OPTION("rate-forward", 0, OPTION_STRING, rate_forward, "RATE/BURST",
		  "1000/200",
		  "calls of a script to the backend, a minute; 0: any"),
	UP_OPTION("rate-tools", 0, OPTION_STRING, rate_tools, "RATE/BURST",
		  "60/10", "tool actions of a script, a minute; 0: any"),
	UP_OPTION("tools-dir", 0, OPTION_STRING, tools_dir, "DIR", NULL,
		  "files of tools; default: DATA/tools"),
	UP_OPTION("tools-allow", 0, OPTION_LIST, tools_allow,
		  "HOST|CIDR[:PORT]", NULL,
		  "where tools may connect to beside the public internet; "
		  "repeatable"),
	UP_OPTION("egress-allow", 0, OPTION_LIST, egress_allow,
		  "HOST|CIDR[:PORT]", NULL,
		  "targets outside the public internet that jobs with "
		  "--allow-net may reach; repeatable"),
	UP_OPTION("ssh-key", 0, OPTION_LIST, ssh_keys, "FILE", NULL,
		  "private key to log in to hosts with; repeatable; default: "
		  "~/.ssh/id_ed25519, id_ecdsa, id_rsa, and the agent"),
	UP_OPTION("ssh-known-hosts", 0, OPTION_STRING, ssh_known_hosts, "FILE",
		  NULL,
		  "the keys of hosts that have none pinned; default: "
		  "~/.ssh/known_hosts"),
	UP_OPTION("share", 0, OPTION_LIST, shares, "[HOST:]PATH[:rw]", NULL,
		  "directory that capabilities (cronium exec) may reach, of "
		  "this machine, or of a host or (*) all of them; to read, or "
		  "also to write; repeatable"),
	UP_OPTION("share-processes", 0, OPTION_FLAG, share_processes, NULL,
		  NULL,
		  "let the capability process.kill signal this machine's "
		  "processes"),
	UP_OPTION("gateway", 0, OPTION_STRING, gateway.listen, "HOST:PORT",
		  NULL,
		  "where the gateway answers: scripts on hosts of the mode "
		  "direct call it, over HTTPS"),
	UP_OPTION("gateway-cert", 0, OPTION_STRING, gateway.cert, "FILE", NULL,
		  "its certificate chain, PEM; read again on SIGHUP"),
	UP_OPTION("gateway-key", 0, OPTION_STRING, gateway.key, "FILE", NULL,
		  "its private key, PEM"),
	UP_OPTION("gateway-url", 0, OPTION_STRING, gateway.url, "URL", NULL,
		  "how the hosts reach it: https://HOST[:PORT]"),
	UP_OPTION("rate-requests", 0, OPTION_STRING, rate_requests,
		  "RATE/BURST", "6000/1000",
		  "of the gateway: requests with one token, a minute; 0: any"),
	UP_OPTION("tools-ca-file", 0, OPTION_STRING, tools_ca_file, "FILE",
		  NULL, "whom tools trust, instead of the system's list; PEM"),
	UP_OPTION("log-level", 0, OPTION_STRING, log_level, "LEVEL", "info",
		  "error, warn, info or debug"),
	UP_OPTION("log-format", 0, OPTION_STRING, log_format, "FORMAT",
		  "logfmt", LOG_FORMAT_HELP),
	UP_OPTION("embedded", 0, OPTION_FLAG, embedded, NULL, NULL,
		  "used by cronium itself: end when nobody needs it; no TCP"),
	CLI_DIR_OPTIONS,
	CLI_HELP_OPTION,
};

/* One server for a RUN. The descriptor, or negative after a message. */
static int up_lock(const struct place *p, bool embedded)
{
	int fd = local_lock_up(p, embedded);

	if (fd == -EAGAIN || fd == -EACCES || fd == -EINTR)
		log_error(NULL,
			  "another `cronium up` runs in %s; stop it, or give "
			  "another --run-dir and --data-dir",
			  p->run);
	else if (fd < 0)
		log_error(NULL, "cannot lock %s/up.lock: %s", p->run,
			  strerror(-fd));
	return fd;
}

static int up_check_rate(const char *name, const char *value)
{
	struct option_rate rate;
	int r = option_parse_rate(value, &rate);

	if (r < 0)
		output_error("--%s %s: a rate such as 1000/200 (a minute, at "
			     "once) is expected, or 0 for none",
			     name, value);
	return r;
}

static int up_check_gateway(const struct up_gateway *g)
{
	const struct {
		const char *name, *value;
	} parts[] = {
		{ "gateway HOST:PORT", g->listen },
		{ "gateway-cert FILE", g->cert },
		{ "gateway-key FILE", g->key },
		{ "gateway-url URL", g->url },
	};
	const char *given = NULL, *missing = NULL;

	for (size_t i = ARRAY_SIZE(parts); i--;)
		*(parts[i].value ? &given : &missing) = parts[i].name;
	if (given && missing) {
		output_error("--%s is missing: a gateway needs --gateway, "
			     "--gateway-cert, --gateway-key and --gateway-url",
			     missing);
		return -EINVAL;
	}
	if (g->url && (strncmp(g->url, "https://", 8) ||
		       !g->url[8 + strspn(g->url + 8, "/")])) {
		output_error("--gateway-url %s: give https://HOST[:PORT], as "
			     "the hosts reach the gateway",
			     g->url);
		return -EINVAL;
	}
	return 0;
}

static int up_check(const struct up_options *o)
{
	enum log_level level;
	enum log_format format;

	if (up_check_rate("rate-forward", o->rate_forward) < 0 ||
	    up_check_rate("rate-tools", o->rate_tools) < 0 ||
	    up_check_rate("rate-requests", o->rate_requests) < 0 ||
	    up_check_gateway(&o->gateway) < 0)
		return -EINVAL;
	if (log_level_parse(o->log_level, &level) < 0) {
		output_error("--log-level %s: error, warn, info or debug is "
			     "expected",
			     o->log_level);
		return -EINVAL;
	}
	if (log_format_parse(o->log_format, &format) < 0) {
		output_error("--log-format %s: logfmt or json is expected",
			     o->log_format);
		return -EINVAL;
	}
	if (!o->tls_cert != !o->tls_key) {
		output_error("--tls-cert and --tls-key go together");
		return -EINVAL;
	}
	log_init("up", level);
	log_set_format(format);
	return 0;
}

static int up_inherited(void)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	if (getsockopt(UP_INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens,
		       &len) < 0 ||
	    !listens)
		return -ENOTSOCK;
	fcntl(UP_INHERITED_FD, F_SETFD, FD_CLOEXEC);
	return UP_INHERITED_FD;
}

static struct up_config up_config_of(const struct up_options *o,
				     const struct place *place)
{
	return (struct up_config){
		.place = place,
		.listen = o->embedded ? "none" : o->listen,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.log_level = o->log_level,
		.log_format = o->log_format,
		.name = o->name,
		.rate_forward = o->rate_forward,
		.rate_tools = o->rate_tools,
		.labels = o->labels,
		.slots = o->slots,
		.executors = &o->executors,
		.guard = o->guard,
		.wal_keep_bytes = o->wal_keep_bytes,
		.wal_keep_days = o->wal_keep_days,
		.tools_dir = o->tools_dir,
		.tools_ca_file = o->tools_ca_file,
		.store = o->store,
		.tools_allow = &o->tools_allow,
		.egress_allow = &o->egress_allow,
		.ssh_keys = &o->ssh_keys,
		.ssh_known_hosts = o->ssh_known_hosts,
		.shares = &o->shares,
		.share_processes = o->share_processes,
		.gateway = o->gateway,
		.rate_requests = o->rate_requests,
		.embedded = o->embedded,
	};
}

static int up_command(const void *options, char **words, size_t n_words)
{
	const struct up_options *o = options;
	struct place place;
	struct up_config config = up_config_of(o, &place);
	_cleanup_close_ int lock_fd = -1;

	if (up_check(o) < 0 || place_find(&place, &o->globals) < 0)
		return CLI_USAGE;
	if (place_make(&place) < 0 ||
	    (o->gateway.listen && place_make_gateway(&place) < 0))
		return CLI_FAILED;
	lock_fd = up_lock(&place, o->embedded);
	if (lock_fd < 0)
		return CLI_FAILED;
	config.listen_fd = o->embedded ? up_inherited() : local_listen(&place);
	if (config.listen_fd < 0) {
		log_error(NULL, "cannot listen in %s: %s", place.run,
			  strerror(-config.listen_fd));
		return CLI_FAILED;
	}
	return up_run(&config);
}

static void up_free_options(void *options)
{
	struct up_options *o = options;

	free(o->executors.items);
	free(o->tools_allow.items);
	free(o->egress_allow.items);
	free(o->ssh_keys.items);
	free(o->shares.items);
}

const struct command command_up = {
	.name = "up",
	.words = "",
	.summary = "Runs the server: backend, orchestrator, gateway",
	.details = "They are processes of their own, started again when they "
		   "crash, and stopped in\norder on SIGTERM or Ctrl-C. The "
		   "first API key is in DATA/api-key. A gateway\n"
		   "takes --gateway, --gateway-cert, --gateway-key and "
		   "--gateway-url.\n",
	.options = up_specs,
	.n_options = ARRAY_SIZE(up_specs),
	.options_bytes = sizeof(struct up_options),
	.run = up_command,
	.free_options = up_free_options,
};
