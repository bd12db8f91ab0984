#include "sidecar/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "sidecar/gateway_socket.h"

#define OFFSET(field) offsetof(struct sidecar_options, field)

const struct option_spec sidecar_option_specs[] = {
	{ "control", 'c', OPTION_STRING, OFFSET(control),
	  "PATH|fd:N|listen:PATH", NULL,
	  "the orchestrator's control socket, or an open descriptor; of a "
	  "gateway: where it listens for control streams" },
	{ "again", 0, OPTION_STRING, OFFSET(again), "PATH|dir:N", NULL,
	  "where to connect when the orchestrator was away: a control socket, "
	  "or the directory of control.sock and door.sock, inherited; default: "
	  "--control's path, and --door's" },
	{ "listen", 'l', OPTION_LIST, OFFSET(listen), "HOST:PORT|fd:N|none",
	  NULL,
	  "where scripts call, may be repeated; 127.0.0.1 and localhost also "
	  "listen on ::1 where there is IPv6 (default: localhost:8081)" },
	{ "proxy", 0, OPTION_STRING, OFFSET(proxy), "localhost:PORT|fd:N", NULL,
	  "where scripts find the egress proxy; needs --door" },
	{ "door", 0, OPTION_STRING, OFFSET(door), "PATH|fd:N|listen:PATH", NULL,
	  "the orchestrator's socket that connections to the outside come "
	  "from; of a gateway: where it listens for them" },
	{ "backend", 'b', OPTION_STRING, OFFSET(backend),
	  "unix:PATH|https://HOST:PORT",
	  "unix:/run/cronium/backend/backend.sock",
	  "where the backend answers" },
	{ "gateway", 0, OPTION_FLAG, OFFSET(gateway), NULL, NULL,
	  "serve many executions, over HTTPS" },
	{ "tls-cert", 0, OPTION_STRING, OFFSET(tls_cert), "FILE", NULL,
	  "of a gateway: its certificate chain, PEM; read again on SIGHUP" },
	{ "tls-key", 0, OPTION_STRING, OFFSET(tls_key), "FILE", NULL,
	  "its private key, PEM" },
	{ "metrics", 0, OPTION_STRING, OFFSET(metrics), "HOST:PORT", NULL,
	  "of a gateway: where /metrics answers, in clear; default: nowhere" },
	{ "rate-requests", 0, OPTION_RATE, OFFSET(rate_requests), "RATE/BURST",
	  "6000/1000",
	  "of a gateway: requests with one token, a minute; 0: any" },
	{ "log-level", 0, OPTION_STRING, OFFSET(log_level), "LEVEL", "info",
	  "error, warn, info or debug" },
	{ "log-format", 0, OPTION_STRING, OFFSET(log_format), "FORMAT",
	  "logfmt", LOG_FORMAT_HELP },
	{ "version", 'V', OPTION_FLAG, OFFSET(version), NULL, NULL,
	  "print the version and exit" },
	{ "help", 'h', OPTION_FLAG, OFFSET(help), NULL, NULL,
	  "print this help and exit" },
};
const size_t sidecar_n_option_specs = ARRAY_SIZE(sidecar_option_specs);

static bool listens(const char *address)
{
	return address && !strncmp(address, GATEWAY_SOCKET_PREFIX,
				   strlen(GATEWAY_SOCKET_PREFIX));
}

static const char *check_sidecar(const struct sidecar_options *o)
{
	if (o->tls_cert || o->tls_key || o->metrics)
		return "--tls-cert, --tls-key and --metrics are for a gateway; "
		       "say --gateway";
	if (listens(o->control) || listens(o->door))
		return "listen:PATH, of --control and --door, is for a "
		       "gateway; say --gateway";
	if (o->proxy && !o->door)
		return "--proxy needs --door: the orchestrator connects";
	return NULL;
}

static const char *check_gateway(const struct sidecar_options *o)
{
	if (!listens(o->control))
		return "--control has to be listen:PATH for a gateway: each "
		       "connection there is one execution";
	if (o->door && !listens(o->door))
		return "--door has to be listen:PATH for a gateway: each "
		       "connection there is one execution's";
	if (o->again)
		return "--again is not for a gateway: its executions end with "
		       "their control streams";
	if (o->proxy)
		return "--proxy is not for a gateway: its connections come in "
		       "by --door";
	if (!o->listen.n)
		return "--listen HOST:PORT is missing: a gateway says where "
		       "scripts reach it";
	if (!o->tls_cert || !o->tls_key)
		return "--tls-cert and --tls-key are missing: a gateway speaks "
		       "HTTPS only";
	return NULL;
}

int sidecar_options_parse(struct sidecar_options *out, int argc, char **argv,
			  char *err, size_t err_size)
{
	const char *wrong;
	int first, r;

	*out = (struct sidecar_options){ 0 };
	r = options_parse(sidecar_option_specs, sidecar_n_option_specs, argc,
			  argv, false, out, &first, err, err_size);
	if (r < 0 || out->help || out->version)
		return r;
	if (first < argc) {
		snprintf(err, err_size,
			 "\"%s\" is not expected: everything is an option, see "
			 "--help",
			 argv[first]);
		return -EINVAL;
	}
	if (!out->control) {
		snprintf(err, err_size,
			 "--control is missing: the orchestrator that starts a "
			 "sidecar names its control socket");
		return -EINVAL;
	}
	wrong = out->gateway ? check_gateway(out) : check_sidecar(out);
	if (wrong)
		snprintf(err, err_size, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

void sidecar_options_deinit(struct sidecar_options *o)
{
	free(o->listen.items);
}
