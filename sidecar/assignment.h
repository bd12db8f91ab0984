/*
 * What the orchestrator assigns to a sidecar: the ASSIGN message (see
 * ARCHITECTURE.md) and the input that follows it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http/trace.h"
#include "common/macro.h"
#include "sidecar/rate.h"

struct assignment {
	char *execution, *job, *issuer;
	char *backend_token;     /* wiped when freed */
	char *public_key;        /* PEM */
	struct buf context;      /* the reply of GET /context */
	char trace[TRACE_BYTES]; /* its trace_id; "" for none */
	struct buf input;        /* one JSON value, or nothing */
	uint64_t input_bytes;
	uint64_t keep_ms; /* without an orchestrator; 0: none */
	uint64_t cache_ttl_ms, cache_bytes;
	uint64_t output_bytes, value_bytes; /* limits of one body */
	struct rate_limit rate[RATE_CLASSES];
};

/* 0; -EINVAL with a sentence in err; -ENOMEM. *out is to be deinitialised in
 * any case. */
int assignment_parse(struct assignment *out, const void *json, size_t len,
		     char *err, size_t err_size) MUST_CHECK;
void assignment_deinit(struct assignment *a);
