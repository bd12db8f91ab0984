/*
 * What a pod gives a script of a runtime: its image, its command line, its
 * environment. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/runtime_config.h"

struct executor_place;

struct runtime {
	enum runtime_type type;
	const char *name;  /* as in the job specification */
	const char *image; /* where the job names none */
	/* The search path that the pod's SDK directory is put in front of, and
	 * what it is when the user sets none; NULL for none. */
	const char *sdk_variable, *sdk_default;
	/* The interpreter is one file, which may lie anywhere in the
	 * orchestrator's PATH: a sandbox is shown that file alone. */
	bool standalone;
};

/* NULL when there is none of this name. */
const struct runtime *runtime_find(const char *name);

/* The name of the interpreter of a standalone runtime, else NULL. */
const char *runtime_program(const char *name);

/* Where a script finds the egress proxy, if it may reach anything. */
#define RUNTIME_PROXY_URL "http://localhost:8082"
#define RUNTIME_PROXY_NOT_FOR "localhost,127.0.0.1,::1"

/* As runtime_command_argv(), and args, an array of strings or NULL. */
json_t *runtime_argv(const struct runtime *rt,
		     const struct runtime_config_options *o, const char *script,
		     const json_t *args);

/* Who runs, for its environment. */
struct runtime_identity {
	const char *execution;
	const char *job;
	const char *token; /* aud=runtime */
	const char *trace; /* of the job; NULL for none */
};

/*
 * The script's environment: what the user asked for (env, an object of
 * strings or NULL), then what Cronium promises, which wins. What is not set
 * here (PATH, HOME, LANG) is the runner's or the image's. A new reference,
 * NULL when out of memory.
 */
json_t *runtime_env(const struct runtime *rt,
		    const struct runtime_config_options *o,
		    const struct executor_place *place,
		    const struct runtime_identity *who, const json_t *env);
