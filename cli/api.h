/* The backend's API for a command: one call at a time, in a loop of its own.
 * What goes wrong is said on stderr here, once. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-client/client.h"
#include "cli/server.h"
#include "common/buf.h"
#include "common/macro.h"

#define API_ANSWER_TIMEOUT_MS 30000
/* For all that the URL names, where none can be reached. */
#define API_OTHERS_MS 3000

struct event_base;

struct api {
	struct event_base *base;
	struct backend_client *client;
	struct server server;
	bool slow_said; /* slow_note.h */
};

struct api_request {
	const char *method;
	const char *path;
	const char *content_type; /* NULL without a body */
	const char *accept;
	const char *idempotency_key; /* makes a POST safe to repeat */
	const void *body;
	size_t body_len;
	uint32_t timeout_ms; /* 0: API_ANSWER_TIMEOUT_MS */
};

struct api_reply {
	enum backend_error error;
	int status; /* 0 when there is no answer */
	struct buf body;
	int64_t date_s;   /* the Date header; 0 when absent */
	char detail[256]; /* of error, or of the problem */
	char code[64];    /* of the problem, such as "no_output" */
};

/* Finds the server, or starts one. 0, or negative errno after a message. */
int api_open(struct api *out, const struct cli_globals *globals) MUST_CHECK;
void api_close(struct api *api);

/* True for a 2xx. Says nothing; out is to be freed in any case. */
bool api_call(struct api *api, const struct api_request *request,
	      struct api_reply *out);
void api_reply_deinit(struct api_reply *r);
/* Fills in detail and code from the body, an application/problem+json. */
void api_reply_read_problem(struct api_reply *r);
/* An error message for a reply that is not 2xx: "cannot DOING: …". */
void api_explain(const struct api *api, const struct api_reply *reply,
		 const char *doing);
/* Both in one: the body's JSON object, or NULL after the message. */
json_t *api_call_json(struct api *api, const struct api_request *request,
		      const char *doing);
json_t *api_get_json(struct api *api, const char *path, const char *doing);
