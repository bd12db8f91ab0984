/*
 * A small HTTP/2 server for tests, in the test's own event loop, that
 * misbehaves on request. What it does is in the path:
 *
 *   /echo      200, the request's body back
 *   /bytes/N   200, N bytes
 *   /status/S  S, no body
 *   /flaky/N   503 for the first N requests, then 200
 *   /hang      no answer
 *   /head      headers, then nothing
 *   /reset     RST_STREAM(INTERNAL_ERROR)
 *   /refuse/N  RST_STREAM(REFUSED_STREAM) for the first N, then 200
 *   /goaway    answers GOAWAY(last stream = the one before), then closes
 *   /die       closes the connection
 *   /auth      200, authorization or x-cronium-token as body
 *   /v1/…      what h2_fixture_on_call() says
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct event_base;
struct h2_fixture;

struct h2_fixture *h2_fixture_new(struct event_base *base,
				  uint32_t max_streams);
void h2_fixture_free(struct h2_fixture *fx);
/* "unix:/…" */
const char *h2_fixture_endpoint(const struct h2_fixture *fx);

/* No listener, no connections; and back on the same path. */
void h2_fixture_stop(struct h2_fixture *fx);
void h2_fixture_start(struct h2_fixture *fx);
/* Connections say this instead of HTTP/2; NULL: HTTP/2 again. */
void h2_fixture_garbage(struct h2_fixture *fx, const char *bytes);
/* Connections are accepted and then ignored. */
void h2_fixture_mute(struct h2_fixture *fx, bool on);
/* What is open reads nothing any more: PING stays without answer. */
void h2_fixture_freeze(struct h2_fixture *fx);
/* GOAWAY on all connections: all that was seen is answered. */
void h2_fixture_goaway(struct h2_fixture *fx);

/* answer makes the reply's body of the request's and gives its status; 0: it is
 * not answered. */
void h2_fixture_on_call(struct h2_fixture *fx,
			int (*answer)(void *ctx, const char *path,
				      struct buf *body),
			void *ctx);

struct h2_fixture_stats {
	unsigned int connections, requests, streams_open, streams_peak;
	unsigned int resets; /* RST_STREAM received */
};
const struct h2_fixture_stats *h2_fixture_stats(const struct h2_fixture *fx);
