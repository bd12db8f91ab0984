/*
 * Routes as a const table. A pattern is a path whose segments are literal or
 * {name}; "{name}" takes one segment, percent-decoded. 404 and 405 (with Allow)
 * are answered here as problem documents.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/http/server.h"
#include "common/macro.h"

#define HTTP_ROUTE_PARAMS_MAX 4
#define HTTP_ROUTE_PARAM_MAX_BYTES 512

struct http_params {
	size_t n;
	const char *names[HTTP_ROUTE_PARAMS_MAX];
	char values[HTTP_ROUTE_PARAMS_MAX][HTTP_ROUTE_PARAM_MAX_BYTES];
};

struct http_route {
	enum http_method method;
	const char *pattern;
	void (*handler)(struct http_exchange *ex,
			const struct http_params *params, void *ctx);
	unsigned int flags; /* for the caller: what it takes to come here */
};

/* "" when the pattern has no such name. */
const char *http_param(const struct http_params *p, const char *name);

/* The matching route with *params filled; NULL after having answered. HEAD is
 * served by GET routes. */
const struct http_route *http_route_find(const struct http_route *routes,
					 size_t n, struct http_exchange *ex,
					 struct http_params *params);

/* Decoded query parameter into out ("" when absent). 1 found, 0 absent,
 * -EINVAL bad escape or too long. */
int http_query_get(const char *query, const char *name, char *out,
		   size_t size) MUST_CHECK;
