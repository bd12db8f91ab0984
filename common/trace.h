/*
 * Trace ids: what a log, a problem document and an X-Cronium-Trace-Id header
 * name one request by. Those of W3C Trace Context, so that a caller that
 * traces finds its own id again.
 */
#pragma once

#include <stdbool.h>

#define TRACE_BYTES 33        /* 32 hexadecimal digits and a NUL */
#define TRACE_PARENT_BYTES 56 /* "00-TRACE-SPAN-01" and a NUL */

/* 32 lower-case hexadecimal digits, not all of them 0. */
bool trace_id_valid(const char *id);
/* Unique, not secret. */
void trace_new(char out[TRACE_BYTES]);
/* Where the id begins in a traceparent; NULL for what is none. */
const char *trace_find(const char *traceparent);
/* The traceparent of a call made on behalf of that trace: a new span of it. */
void trace_parent(const char trace[TRACE_BYTES], char out[TRACE_PARENT_BYTES]);
