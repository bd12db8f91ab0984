/*
 * The Docker Engine API over its unix socket: libcurl's multi interface in
 * the caller's event loop. The API version is negotiated with /_ping before
 * the first call, and anew once one was not answered; calls made earlier wait
 * for it.
 *
 * Every call ends in exactly one on_done, unless it is cancelled. Callbacks
 * run from the loop, never from within docker_api_call().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct buf;
struct event_base;
struct docker_api;
struct docker_call;

/* What the engine must speak at least (20.10), and what we know at most. */
#define DOCKER_API_VERSION_MIN "1.41"
#define DOCKER_API_VERSION_MAX "1.43"

struct docker_reply {
	int status;       /* HTTP status; 0 when there was no answer */
	const char *body; /* NUL-terminated; "" for streamed calls */
	size_t len;
	const char *error; /* NULL for 2xx and 304; else the engine's words */
	bool gone;         /* nobody was there to answer, or not to the end */
};

struct docker_call_ops {
	/* Streamed calls only: a whole line of the reply, without '\n'. */
	void (*on_line)(void *ctx, const char *line);
	void (*on_done)(void *ctx, const struct docker_reply *reply);
};

/* 0 or negative errno. */
int docker_api_new(struct docker_api **out, struct event_base *base,
		   const char *socket_path) MUST_CHECK;
/* Drops what is under way without on_done. */
void docker_api_free(struct docker_api *api);
DEFINE_CLEANUP(struct docker_api *, docker_api_free)

const char *docker_api_socket(const struct docker_api *api);

/* Asks whether the engine is there, over a new connection, and learns the
 * version anew; nothing new where that is under way. 0 or -ENOMEM. */
int docker_api_ping(struct docker_api *api) MUST_CHECK;
/* Called with the result of each ping. */
void docker_api_on_ping(struct docker_api *api,
			void (*fn)(void *ctx, const struct docker_reply *reply),
			void *ctx);

/*
 * path starts with '/', without the version. body may be NULL; it is
 * serialised before the call returns. timeout_ms 0 means none (streams).
 * Calls must not be made or cancelled from within on_line.
 */
int docker_api_call(struct docker_api *api, const char *method,
		    const char *path, const json_t *body,
		    unsigned int timeout_ms, const struct docker_call_ops *ops,
		    void *ctx, struct docker_call **out) MUST_CHECK;
/* POST of a tar archive (an image's build context); tar is emptied. */
int docker_api_upload(struct docker_api *api, const char *path, struct buf *tar,
		      unsigned int timeout_ms,
		      const struct docker_call_ops *ops, void *ctx) MUST_CHECK;
