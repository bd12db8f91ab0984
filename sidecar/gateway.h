/*
 * The sidecar of many executions, over HTTPS, for scripts that run somewhere
 * else. Each connection to its control socket is the control stream of one
 * execution, with a seat of its own (seat.h); a request finds its seat by its
 * token (gateway_request.h).
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

struct gateway;
struct sidecar_options;

#define GATEWAY_CONNECTIONS 4096
#define GATEWAY_NETWORK_CONNECTIONS 512 /* of one address */
#define GATEWAY_HEADER_MS 10000 /* the handshake, and a request's head */
#define GATEWAY_REPLY_BYTES (1024ULL * 1024 * 1024)

/* options must outlive the gateway. 0, or negative errno with a sentence for
 * the user in err. */
int gateway_new(struct gateway **out, const struct sidecar_options *options,
		char *err, size_t err_size) MUST_CHECK;
/* Serves until a signal ends it; the exit code of the program. */
int gateway_run(struct gateway *g);
void gateway_free(struct gateway *g);
DEFINE_CLEANUP(struct gateway *, gateway_free)
