/*
 * GET /input/stream: the records of the backend's stream, passed on as they
 * come. A call to the backend that breaks is made again from the line that it
 * broke off in; bytes of that line that the script has are passed over, so
 * that it sees a delay.
 *
 *   ASKING ──▶ READING ──▶ (freed)
 *    ▲ └──┐       │ the call broke
 *    │    ▼       │
 *    └─ WAITING ◀─┘
 *
 * The backend is read no faster than the script reads: beyond its own window
 * and what the HTTP server holds, nothing is kept.
 */
#pragma once

struct execution;
struct stream_read;

/* Held for one script that does not read: the server's backlog, and as much
 * again that the backend may send until it hears of it. */
#define STREAM_READ_BYTES (512 * 1024)

/* At the end of the execution, when no reply can be sent any more. */
void stream_read_free_all(struct execution *x);
