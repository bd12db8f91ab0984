/* A job as `run` and `submit` ask for it: options, script and input, checked
 * here as far as that saves a round trip, then sent as frames. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"
#include "common/buf.h"
#include "common/macro.h"

#define JOB_SCRIPT_MAX_BYTES (10 * 1024 * 1024)
#define JOB_INPUT_MAX_BYTES (10 * 1024 * 1024)

struct api;

struct job_options {
	struct cli_globals globals;
	const char *runtime, *executor, *image, *input, *cpus, *name;
	uint64_t timeout_ms, memory_bytes;
	struct option_list env, labels;
	bool egress;
};

#define JOB_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct job_options, field, arg, \
		   initial, help)
#define JOB_OPTIONS                                                            \
	JOB_OPTION("runtime", 'r', OPTION_STRING, runtime, "NAME", NULL,       \
		   "python, node or bash; default: by suffix or #! line"),     \
		JOB_OPTION("executor", 'x', OPTION_STRING, executor, "NAME",   \
			   "auto",                                             \
			   "docker, sandbox, or auto: what the server has"),   \
		JOB_OPTION("image", 0, OPTION_STRING, image, "IMAGE", NULL,    \
			   "Docker image instead of the runtime's own"),       \
		JOB_OPTION("input", 'i', OPTION_STRING, input, "JSON|@FILE|-", \
			   NULL,                                               \
			   "what the script reads as its input; - is stdin"),  \
		JOB_OPTION("timeout", 't', OPTION_DURATION, timeout_ms,        \
			   "TIME", NULL,                                       \
			   "end it after 500ms, 30s, 5m, 2h; default: never"), \
		JOB_OPTION("memory", 'm', OPTION_BYTES, memory_bytes, "SIZE",  \
			   "512m", "most memory, such as 256m or 2g"),         \
		JOB_OPTION("cpus", 0, OPTION_STRING, cpus, "N", "1",           \
			   "processor share, such as 0.5 or 2"),               \
		JOB_OPTION("env", 'e', OPTION_LIST, env, "K=V", NULL,          \
			   "environment variable; K alone passes ours on; "    \
			   "repeatable"),                                      \
		JOB_OPTION("egress", 0, OPTION_FLAG, egress, NULL, NULL,       \
			   "let the script reach the network"),                \
		JOB_OPTION("name", 'n', OPTION_STRING, name, "NAME", NULL,     \
			   "name of the job; default: the script's"),          \
		JOB_OPTION("label", 'l', OPTION_LIST, labels, "K=V", NULL,     \
			   "label to find it by; repeatable")

/* words: SCRIPT (- is stdin), then the script's arguments. 0, or -EINVAL after
 * an error message; body is to be freed in any case. */
int job_request_build(const struct job_options *o, char **words, size_t n_words,
		      struct buf *body) MUST_CHECK;
/* Sends it: the job object, or NULL after an error message. */
json_t *job_request_submit(struct api *api, const struct buf *body);
void job_options_free(void *options);
