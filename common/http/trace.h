/*
 * Trace ids: what a log, a problem document and an X-Cronium-Trace-Id header
 * name one request by. Those of W3C Trace Context, so that a caller that
 * traces finds its own id again.
 */
#pragma once

#include <stdbool.h>

#define HTTP_TRACE_BYTES 33       /* 32 hexadecimal digits and a NUL */
#define HTTP_TRACEPARENT_BYTES 56 /* "00-TRACE-SPAN-01" and a NUL */

struct http_request;

/* 32 lower-case hexadecimal digits, not all of them 0. */
bool http_trace_id_valid(const char *id);
/* Unique, not secret. */
void http_trace_new(char out[HTTP_TRACE_BYTES]);
/* The id in the request's traceparent, else a new one. */
void http_trace_id(const struct http_request *req, char out[HTTP_TRACE_BYTES]);
/* The same, but `id` (valid) instead of a new one, where it is not NULL. */
void http_trace_id_or(const struct http_request *req, const char *id,
		      char out[HTTP_TRACE_BYTES]);

/* For a call made on behalf of that trace: a new span of it. */
void http_traceparent(const char trace[HTTP_TRACE_BYTES],
		      char out[HTTP_TRACEPARENT_BYTES]);
