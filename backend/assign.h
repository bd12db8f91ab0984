/*
 * What an orchestrator is given with a claim: two tokens and the ASSIGN
 * document. Pure but for the random identifiers of the tokens.
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"
#include "common/token.h"

/* Tokens outlive the deadline by this much: making the pod, stopping the
 * script, handing in what is left. */
#define ASSIGN_TOKEN_MARGIN_S (15 * 60)
#define ASSIGN_TOKEN_NO_DEADLINE_S (24 * 3600)

struct backend_config;
struct store_job;
struct store_result;

struct assign_config {
	const struct token_key *key;
	const char *public_pem;
	const char *payload_key;              /* "base64:…" */
	const struct backend_config *backend; /* the lease, the limits */
};

/* Appends the frames ASSIGN, SCRIPT, INPUT for a claim. 0 or negative
 * errno. */
int assign_append(struct buf *out, const struct assign_config *config,
		  const struct store_result *claim, int64_t now_s) MUST_CHECK;
