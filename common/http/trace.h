/*
 * Trace ids: what a log, a problem document and an X-Cronium-Trace-Id header
 * name one request by. Those of W3C Trace Context, so that a caller that
 * traces finds its own id again.
 */
#pragma once

#define HTTP_TRACE_BYTES 33 /* 32 hexadecimal digits and a NUL */

struct http_request;

/* The id in the request's traceparent, else a new one: unique, not secret. */
void http_trace_id(const struct http_request *req, char out[HTTP_TRACE_BYTES]);
