/*
 * The executions that are claimed or running, in memory: which agent has
 * them, with which epoch, and which of their tokens were verified before.
 * What is not in here has ended, and its tokens are worth nothing. Rebuilt
 * from the store at start. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/id.h"
#include "common/macro.h"
#include "common/token.h"

#define LIVE_TOKENS_MAX 8 /* remembered for one execution */
#define LIVE_AGENT_MAX_BYTES 65

struct live;
struct live_token;
struct store_job;

struct live_execution {
	char id[ID_MAX_BYTES], job[ID_MAX_BYTES];
	char agent[LIVE_AGENT_MAX_BYTES];
	char session[ID_MAX_BYTES]; /* of the job; "" for none */
	int64_t epoch;
	bool started;
	bool cancel_requested;
	char *cancel_reason; /* may be NULL */
	bool has_bound;      /* jobs may end with it: orphans.h */
	/* private to live.c */
	struct live_token *tokens[LIVE_TOKENS_MAX];
	size_t n_tokens;
	UT_hash_handle hh, of_job;
};

/* A verified token: its claims stay valid as long as it is referenced. */
struct live_token {
	uint8_t digest[TOKEN_DIGEST_BYTES];
	struct token_claims claims;
	/* private to live.c */
	unsigned int refs;
	UT_hash_handle hh;
};

int live_new(struct live **out) MUST_CHECK;
void live_free(struct live *l);

/* Adds or updates the execution of a job that is claimed or running; removes
 * that of any other. 0 or -ENOMEM. */
int live_update(struct live *l, const struct store_job *job) MUST_CHECK;
struct live_execution *live_find(const struct live *l, const char *execution);
/* The execution of a job; NULL: none is live. */
struct live_execution *live_find_job(const struct live *l, const char *job);
/* Sets has_bound of all: after a start it is not known. */
void live_assume_bound(struct live *l);
size_t live_count(const struct live *l);
size_t live_count_agent(const struct live *l, const char *agent);
/* Call fn for each execution, or for those of the agent; fn must not add or
 * remove any. */
void live_foreach(const struct live *l,
		  void (*fn)(struct live_execution *x, void *ctx), void *ctx);
void live_foreach_agent(const struct live *l, const char *agent,
			void (*fn)(struct live_execution *x, void *ctx),
			void *ctx);

/* Remembers a token of x; takes claims. NULL on ENOMEM (claims are freed). */
struct live_token *live_token_add(struct live *l, struct live_execution *x,
				  const uint8_t digest[TOKEN_DIGEST_BYTES],
				  struct token_claims *claims);
struct live_token *live_token_find(const struct live *l,
				   const uint8_t digest[TOKEN_DIGEST_BYTES]);
struct live_token *live_token_ref(struct live_token *t);
void live_token_unref(struct live_token *t);
