/*
 * What a script under `cronium dev` has and does: the fake backend fills it,
 * the report tells it. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "cli/dev_store.h"
#include "cli/dev_stream.h"
#include "common/token.h"

#define DEV_CALLS_MAX 10000 /* tool calls that are remembered */

struct dev_fixtures;
struct dev_log;

/* Embedded by value. */
struct dev_state {
	const struct dev_fixtures *fixtures;
	struct dev_log *log;
	struct token_claims claims; /* the patterns alone; borrowed strings */
	json_t *context;
	struct dev_store store;
	struct dev_stream input, output;
	struct buf value; /* the job's output, has_output */
	bool has_output;
	int condition;      /* -1: none */
	bool condition_set; /* by the script */
	json_t *calls;      /* of tools, in order */
	json_t *deleted;    /* names of variables, as an object's */
};

/* Takes the fixtures in; they and the log outlive it. The secrets are hidden.
 * 0 or negative errno. */
int dev_state_init(struct dev_state *s, const struct dev_fixtures *fixtures,
		   struct dev_log *log) MUST_CHECK;
void dev_state_deinit(struct dev_state *s);
