/* Inside of dev_backend_*.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cli/dev_log.h"
#include "cli/dev_state.h"
#include "common/http/router.h"
#include "common/http/server.h"
#include "common/var_key.h"

#define DEV_BODY_MAX_BYTES (16 * 1024 * 1024)
#define DEV_REPLIES_MAX 4096 /* that are repeated to their key */
#define DEV_WATCHES_MAX 256  /* streams of changes, as in the backend */
#define DEV_KEY_MAX_BYTES 128

struct dev_watch;
struct event;

/* What belongs to which kind of Idempotency-Key. */
enum dev_keys {
	DEV_KEYS_NONE,
	DEV_KEYS_WRITES,
	DEV_KEYS_STREAMS,
	DEV_KEYS_TOOLS,
};

struct dev_reply {
	TAILQ_ENTRY(dev_reply) link;
	enum dev_keys kind;
	char key[DEV_KEY_MAX_BYTES + 1];
	uint8_t digest[TOKEN_DIGEST_BYTES]; /* of the request */
	int status;
	char etag[24];
	bool secret;
	struct buf body;
};

struct dev_backend {
	struct event_base *base;
	struct http_server *server;
	const char *token;
	struct dev_state *state;
	TAILQ_HEAD(, dev_reply) replies;
	size_t n_replies;
	LIST_HEAD(, dev_watch) watches;
	size_t n_watches;
	struct event *heartbeat;
};

/* One request; gone once it is answered. */
struct dev_call {
	struct dev_backend *b;
	struct http_exchange *ex;
	const struct http_request *req;
	char key[VAR_KEY_MAX_BYTES + 1]; /* of the path, or "" */
	enum dev_keys kind;
	bool has_key;
	uint8_t digest[TOKEN_DIGEST_BYTES];
	void *data; /* a stream's */
	void (*free_data)(void *data);
};

typedef void (*dev_handler_fn)(struct dev_call *call, const uint8_t *body,
			       size_t len);

/* --- replies: each ends the call ------------------------------------------ */

void dev_problem(struct dev_call *call, int status, const char *code,
		 const char *fmt, ...) PRINTF_LIKE(4, 5);
/* With one more member, a number. */
void dev_problem_with(struct dev_call *call, int status, const char *code,
		      const char *member, int64_t value, const char *fmt, ...)
	PRINTF_LIKE(6, 7);
void dev_no_memory(struct dev_call *call);
/* JSON. v may be NULL: no content; version 0: no ETag. */
void dev_answer(struct dev_call *call, int status, const struct dev_variable *v,
		const void *body, size_t len);
/* A value that is taken over; NULL is ENOMEM. */
void dev_answer_json(struct dev_call *call, int status, json_t *value);
/* A stream, which ends with the reply or its peer: the call is handed over. */
void dev_call_free(struct dev_call *call);

/* --- requests ------------------------------------------------------------- */

/* from of the query, or def; false: answered. */
bool dev_query_number(struct dev_call *call, const char *name, int64_t def,
		      int64_t *out);
/* Whether the call's Idempotency-Key was seen before: answered then. what: the
 * request beside its body. Other calls with this key get this one's answer. */
bool dev_repeated(struct dev_call *call, enum dev_keys kind, const char *what,
		  const void *body, size_t len);

/* --- handlers ------------------------------------------------------------- */

void dev_get_input(struct dev_call *call, const uint8_t *body, size_t len);
void dev_post_output(struct dev_call *call, const uint8_t *body, size_t len);
void dev_get_condition(struct dev_call *call, const uint8_t *body, size_t len);
void dev_post_condition(struct dev_call *call, const uint8_t *body, size_t len);
void dev_get_context(struct dev_call *call, const uint8_t *body, size_t len);
void dev_post_audit(struct dev_call *call, const uint8_t *body, size_t len);
void dev_list_variables(struct dev_call *call, const uint8_t *body, size_t len);
void dev_get_variable(struct dev_call *call, const uint8_t *body, size_t len);
void dev_put_variable(struct dev_call *call, const uint8_t *body, size_t len);
void dev_delete_variable(struct dev_call *call, const uint8_t *body,
			 size_t len);
void dev_increment_variable(struct dev_call *call, const uint8_t *body,
			    size_t len);
void dev_get_input_stream(struct dev_call *call, const uint8_t *body,
			  size_t len);
void dev_post_output_stream(struct dev_call *call, const uint8_t *body,
			    size_t len);
void dev_get_changes(struct dev_call *call, const uint8_t *body, size_t len);
void dev_post_tool(struct dev_call *call, const uint8_t *body, size_t len);

/* A variable was written: those who watch are told. */
void dev_changes_publish(struct dev_backend *b);
/* Every FRAME_HEARTBEAT_MS. */
void dev_changes_beat(struct dev_backend *b);
