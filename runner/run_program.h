/* What `cronium-runner run` runs: a payload that is known to be the one that
 * was signed, and the ASSIGN that an orchestrator would make of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/macro.h"
#include "payload/verify.h"

struct run_program {
	struct payload_key key;
	struct buf payload, signature;
	json_t *assign;
	uint64_t timeout_ms; /* 0: none */
	uint64_t memory_bytes;
	bool keep_net; /* it may use the whole network */
};

struct run_program_spec {
	const char *payload;   /* path */
	const char *key;       /* as the runner's --key */
	const char *signature; /* path; NULL: payload.sig */
	char *const *args;     /* NULL-terminated */
};

/* Nothing of the payload is used before it is verified. 0, or negative errno
 * with a sentence in err. */
int run_program_load(struct run_program *p, const struct run_program_spec *spec,
		     char *err, size_t err_size) MUST_CHECK;
void run_program_deinit(struct run_program *p);
