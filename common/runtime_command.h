/*
 * How a script is started as its runtime block has it: the command line of the
 * interpreter, and the variables that say which environment it runs in. Pure.
 */
#pragma once

#include <jansson.h>

#include "common/macro.h"
#include "common/runtime_config.h"

/* Bun collects more often at or below it. */
#define RUNTIME_SMALL_MEMORY_MB 1024

/* "python3": as a PATH has it. */
const char *runtime_command_interpreter(enum runtime_type type);

/* ["python3","-u",script]; what the block adds stands in front of the script.
 * A new reference, NULL when out of memory. */
json_t *runtime_command_argv(enum runtime_type type,
			     const struct runtime_config_options *o,
			     const char *script);
/* CRONIUM_ENVIRONMENT, and NODE_ENV where that is read and the user has none of
 * his own. 0, or -1 when out of memory. */
int runtime_command_set_env(json_t *env, enum runtime_type type,
			    const struct runtime_config_options *o) MUST_CHECK;
