/* The trace of a request: common/trace.h. */
#pragma once

#include "common/trace.h"

struct http_request;

/* The id in the request's traceparent, else a new one. */
void http_trace_id(const struct http_request *req, char out[TRACE_BYTES]);
/* The same, but `id` (valid) instead of a new one, where it is not NULL. */
void http_trace_id_or(const struct http_request *req, const char *id,
		      char out[TRACE_BYTES]);
