/* cronium-backend: parse, set up, run. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "common/log.h"
#include "common/options.h"

#define OPTION(field) offsetof(struct backend_config, field)

static const struct option_spec backend_options[] = {
	{ "data-dir", 'd', OPTION_STRING, OPTION(data_dir), "DIR", NULL,
	  "database and keys; made if missing" },
	{ "keys-dir", 0, OPTION_STRING, OPTION(keys_dir), "DIR", NULL,
	  "keys, the same for all backends of a store; default: DATA" },
	{ "store", 0, OPTION_STRING, OPTION(store), "URL", NULL,
	  "sqlite:PATH or postgresql://…, also CRONIUM_STORE; default: "
	  "sqlite:DATA/cronium.db" },
	{ "run-dir", 'r', OPTION_STRING, OPTION(run_dir), "DIR", NULL,
	  "sockets; made if missing" },
	{ "listen", 'l', OPTION_STRING, OPTION(listen), "HOST:PORT",
	  "127.0.0.1:8642", "TCP address, or none; port 0: any" },
	{ "tls-cert", 0, OPTION_STRING, OPTION(tls_cert), "FILE", NULL,
	  "certificate chain for TCP, PEM" },
	{ "tls-key", 0, OPTION_STRING, OPTION(tls_key), "FILE", NULL,
	  "its private key, PEM" },
	{ "log-level", 0, OPTION_STRING, OPTION(log_level), "LEVEL", "info",
	  "error, warn, info or debug" },
	{ "log-format", 0, OPTION_STRING, OPTION(log_format), "FORMAT",
	  "logfmt", LOG_FORMAT_HELP },
	{ "max-input-bytes", 0, OPTION_BYTES, OPTION(max_input_bytes), "N",
	  "10m", "largest input of a job" },
	{ "max-output-bytes", 0, OPTION_BYTES, OPTION(max_output_bytes), "N",
	  "10m", "largest output of a job" },
	{ "max-log-bytes", 0, OPTION_BYTES, OPTION(max_log_bytes), "N", "10m",
	  "log kept of a job; the rest is counted" },
	{ "max-value-bytes", 0, OPTION_BYTES, OPTION(max_value_bytes), "N",
	  "1m", "largest variable" },
	{ "rate-forward", 0, OPTION_RATE, OPTION(rate_forward), "RATE/BURST",
	  "1000/200", "calls of a script to the backend, a minute; 0: any" },
	{ "rate-tools", 0, OPTION_RATE, OPTION(rate_tools), "RATE/BURST",
	  "60/10", "tool actions of a script, a minute; 0: any" },
	{ "tools-dir", 0, OPTION_STRING, OPTION(tools_dir), "DIR", NULL,
	  "files of tools; default: DATA/tools" },
	{ "tools-allow", 0, OPTION_LIST, OPTION(tools_allow),
	  "HOST|CIDR[:PORT]", NULL,
	  "where tools may connect to beside the public internet; repeatable" },
	{ "tools-ca-file", 0, OPTION_STRING, OPTION(tools_ca_file), "FILE",
	  NULL, "whom tools trust, instead of the system's list; PEM" },
	{ "max-stream-bytes", 0, OPTION_BYTES, OPTION(max_stream_bytes), "N",
	  "4g", "largest stream of a job" },
	{ "lease", 0, OPTION_DURATION, OPTION(lease_ms), "TIME", "30s",
	  "an orchestrator that is silent for so long is gone" },
	{ "help", 'h', OPTION_FLAG, OPTION(help), NULL, NULL,
	  "show this and exit" },
	{ "version", 'V', OPTION_FLAG, OPTION(version), NULL, NULL,
	  "show the version and exit" },
};

static void usage(void)
{
	printf("Usage: cronium-backend --data-dir DIR --run-dir DIR "
	       "[OPTION]...\n"
	       "Keeps jobs, variables and secrets, and hands jobs to "
	       "orchestrators.\n\n");
	options_help(backend_options, ARRAY_SIZE(backend_options));
}

static bool too_large(const char *name, uint64_t value)
{
	if (value > 0 && value <= BACKEND_VALUE_CEILING_BYTES)
		return false;
	fprintf(stderr, "cronium-backend: --%s must be 1 to %d bytes\n", name,
		BACKEND_VALUE_CEILING_BYTES);
	return true;
}

/* What the table cannot say. */
static bool config_valid(const struct backend_config *c)
{
	const char *wrong = NULL;

	if (!c->data_dir || !c->run_dir)
		wrong = "--data-dir and --run-dir are needed";
	else if (!c->tls_cert != !c->tls_key)
		wrong = "--tls-cert and --tls-key go together";
	else if (c->lease_ms < 100 || c->lease_ms > 3600 * 1000)
		wrong = "--lease must be 100ms to 1h";
	if (wrong)
		fprintf(stderr, "cronium-backend: %s\n", wrong);
	return !wrong && !too_large("max-input-bytes", c->max_input_bytes) &&
	       !too_large("max-output-bytes", c->max_output_bytes) &&
	       !too_large("max-value-bytes", c->max_value_bytes);
}

/* The process holds keys: they must not end up in a core file, and no other
 * process of this user may look into it. */
static int protect_memory(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		log_error("-", "cannot forbid core files: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* Each connection is a descriptor; what cannot be had is said by accept(). */
static void allow_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int serve(const struct backend_config *config)
{
	struct backend b;
	char err[512];
	int r;

	signal(SIGPIPE, SIG_IGN);
	umask(077);
	allow_connections();
	if (protect_memory())
		return EXIT_FAILURE;
	r = backend_open(&b, config, err, sizeof(err));
	if (r)
		log_error("-", "%s", err);
	else
		r = backend_run(&b);
	backend_close(&b);
	if (!r)
		log_info("-", "stopped");
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv, struct backend_config *config)
{
	enum log_level level;
	enum log_format format;
	char err[512];
	int first;

	if (options_parse(backend_options, ARRAY_SIZE(backend_options), argc,
			  argv, false, config, &first, err, sizeof(err))) {
		fprintf(stderr, "cronium-backend: %s\n", err);
		return 2;
	}
	if (config->help) {
		usage();
		return EXIT_SUCCESS;
	}
	if (config->version) {
		puts("cronium-backend " CRONIUM_VERSION);
		return EXIT_SUCCESS;
	}
	if (first < argc || log_level_parse(config->log_level, &level)) {
		fprintf(stderr, "cronium-backend: %s \"%s\"; see --help\n",
			first < argc ? "unexpected argument"
				     : "no such log level",
			first < argc ? argv[first] : config->log_level);
		return 2;
	}
	if (log_format_parse(config->log_format, &format)) {
		fprintf(stderr,
			"cronium-backend: no such log format \"%s\"; give "
			"logfmt or json\n",
			config->log_format);
		return 2;
	}
	if (!config->store || !*config->store)
		config->store = getenv("CRONIUM_STORE"); /* no arguments: ps */
	if (!config_valid(config))
		return 2;
	log_init("backend", level);
	log_set_format(format);
	return serve(config);
}

int main(int argc, char **argv)
{
	struct backend_config config = { 0 };
	int r = run(argc, argv, &config);

	free(config.tools_allow.items);
	return r;
}
