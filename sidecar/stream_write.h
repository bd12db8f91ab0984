/*
 * POST /output/stream: a body of any length, cut into appends while it
 * arrives. One append is under way while the next one is collected; when both
 * are full the body is not read. So a record that comes alone is sent at once,
 * and many of them together.
 *
 *   RECEIVING ──▶ ENDED ──┐     the body's end came
 *       ├───────▶ CUT ────┤     the script went away
 *       └─────────────────┴──▶ FAILED   a record is bad, the backend refused,
 *                                       or the job ends
 *
 * From each of the three: what was collected is sent, the script is told (if
 * it is there), and the stream freed. What is held is bounded: an append, the
 * next one, a record that goes on, and one piece of the body. It counts as a
 * write of the execution from its beginning on.
 */
#pragma once

#include "sidecar/stream_append.h"

struct execution;
struct stream_write;

/* Acknowledgements that the script has not read; then several become one. */
#define STREAM_ACK_BACKLOG_BYTES 4096

/* The job is over: bodies that do not end by themselves are ended, in time for
 * what came of them to be stored. */
void stream_write_drain_all(struct execution *x);

/* At the end of the execution, when no reply can be sent any more. */
void stream_write_free_all(struct execution *x);
