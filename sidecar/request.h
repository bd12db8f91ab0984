/* One request on its way through the pipeline; lives on the stack until its
 * handler has answered or handed it on. */
#pragma once

#include "common/http/router.h"
#include "common/http/server.h"
#include "sidecar/reply.h"

struct execution;
struct health_source;
struct route;
struct token_claims;

struct request {
	struct reply reply;
	const struct http_request *http;
	struct http_params params;
	const struct route *route;
	const struct health_source *health;
	/* NULL for public routes. */
	struct execution *execution;
	const struct token_claims *claims;
};
