/* cronium-sidecar: parse, set up, run. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "backend-client/tls.h"
#include "common/log.h"
#include "sidecar/gateway.h"
#include "sidecar/memory.h"
#include "sidecar/options.h"
#include "sidecar/sidecar.h"

/* The memory holds secrets: no core file, no debugger of the same user. */
static void keep_secrets(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* No configuration file, no tables of error texts: nobody reads them here. */
static void start_crypto_small(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
				    OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
				    OPENSSL_INIT_NO_ATEXIT,
			    NULL);
}

static void print_help(void)
{
	puts("cronium-sidecar: the door of one pod, between its script and the "
	     "backend;\nwith --gateway that of many scripts elsewhere. The "
	     "orchestrator, or `cronium up`,\nstarts it; see "
	     "ARCHITECTURE.md.\n");
	options_help(sidecar_option_specs, sidecar_n_option_specs);
}

static int run_gateway(const struct sidecar_options *options)
{
	_cleanup_(gateway_freep) struct gateway *g = NULL;
	char err[512];

	if (gateway_new(&g, options, err, sizeof(err)) < 0) {
		log_error("-", "%s", err);
		return 1;
	}
	return gateway_run(g);
}

static int run_sidecar(const struct sidecar_options *options)
{
	_cleanup_(sidecar_freep) struct sidecar *s = NULL;
	char err[512];

	if (sidecar_new(&s, options, err, sizeof(err)) < 0) {
		log_error("-", "%s", err);
		return 1;
	}
	return sidecar_run(s);
}

static int run(const struct sidecar_options *options)
{
	enum log_level level;
	enum log_format format;

	if (log_level_parse(options->log_level, &level) < 0) {
		fprintf(stderr,
			"cronium-sidecar: \"%s\" is no log level: use error, "
			"warn, info or debug\n",
			options->log_level);
		return 2;
	}
	if (log_format_parse(options->log_format, &format) < 0) {
		fprintf(stderr,
			"cronium-sidecar: \"%s\" is no log format: use "
			"logfmt or json\n",
			options->log_format);
		return 2;
	}
	log_init(options->gateway ? "gateway" : "sidecar", level);
	log_set_format(format);
	signal(SIGPIPE, SIG_IGN);
	if (!strncmp(options->backend, "https:", 6))
		backend_client_tls_enable();
	return options->gateway ? run_gateway(options) : run_sidecar(options);
}

int main(int argc, char **argv)
{
	struct sidecar_options options;
	char err[512];
	int r = 0;

	keep_secrets();
	memory_stay_small();
	start_crypto_small();
	if (sidecar_options_parse(&options, argc, argv, err, sizeof(err)) < 0) {
		fprintf(stderr, "cronium-sidecar: %s\n", err);
		r = 2;
	} else if (options.help) {
		print_help();
	} else if (options.version) {
		puts("cronium-sidecar " CRONIUM_VERSION);
	} else {
		r = run(&options);
	}
	sidecar_options_deinit(&options);
	return r;
}
