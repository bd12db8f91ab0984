/* The ASSIGN of a payload that runs without an orchestrator. */
#pragma once

#include <stddef.h>

#include "common/json.h"

struct runtime_config;

struct run_assign {
	const json_t *manifest; /* normal form */
	const struct runtime_config *config;
	char *const *args; /* of the script; NULL-terminated */
	const char *signature;
	size_t payload_bytes;
};

/*
 * work_dir is "". A runtime API that our own environment names
 * (CRONIUM_RUNTIME_API and its token) is passed on, with a door to it. NULL
 * with a sentence in err.
 */
json_t *run_assign_new(const struct run_assign *a, char *err, size_t err_size);
