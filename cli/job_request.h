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
	const char *input_stream, *input_from, *agent;
	struct option_list env, labels, vars_read, vars_write, tools;
	bool egress, read_only, dry_run;
};

#define JOB_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct job_options, field, arg, \
		   initial, help)
#define JOB_OPTIONS                                                            \
	JOB_OPTION("runtime", 'r', OPTION_STRING, runtime, "NAME", NULL,       \
		   "python, node, bash, bun; default: by suffix or #! line"),  \
		JOB_OPTION("executor", 'x', OPTION_STRING, executor, "NAME",   \
			   "auto",                                             \
			   "docker, sandbox, or auto: what the server has"),   \
		JOB_OPTION("image", 0, OPTION_STRING, image, "IMAGE", NULL,    \
			   "Docker image instead of the runtime's own"),       \
		JOB_OPTION("input", 'i', OPTION_STRING, input, "JSON|@FILE|-", \
			   NULL,                                               \
			   "what the script reads as its input; - is stdin"),  \
		JOB_OPTION("input-stream", 0, OPTION_STRING, input_stream,     \
			   "FILE|-", NULL,                                     \
			   "records for its input stream, one JSON value a "   \
			   "line"),                                            \
		JOB_OPTION("input-from", 0, OPTION_STRING, input_from, "JOB",  \
			   NULL,                                               \
			   "the job whose output stream is its input stream"), \
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
		JOB_OPTION("agent", 0, OPTION_STRING, agent, "NAME", NULL,     \
			   "the only orchestrator that may run it"),           \
		JOB_OPTION("vars-read", 0, OPTION_LIST, vars_read, "PATTERN",  \
			   NULL,                                               \
			   "variables it may read, such as 'team/*'; "         \
			   "repeatable; default: all"),                        \
		JOB_OPTION(                                                    \
			"vars-write", 0, OPTION_LIST, vars_write, "PATTERN",   \
			NULL,                                                  \
			"variables it may write; repeatable; default: all"),   \
		JOB_OPTION("tool", 0, OPTION_LIST, tools, "PATTERN", NULL,     \
			   "tool actions it may call, such as 'slack/*'; "     \
			   "repeatable; default: all"),                        \
		JOB_OPTION("read-only", 0, OPTION_FLAG, read_only, NULL, NULL, \
			   "let it write no variables"),                       \
		JOB_OPTION("dry-run", 0, OPTION_FLAG, dry_run, NULL, NULL,     \
			   "show its tool actions instead of sending them"),   \
		JOB_OPTION("name", 'n', OPTION_STRING, name, "NAME", NULL,     \
			   "name of the job; default: the script's"),          \
		JOB_OPTION("label", 'l', OPTION_LIST, labels, "K=V", NULL,     \
			   "label to find it by; repeatable")

/* Has an input stream: from --input-stream or --input-from. */
bool job_request_streams(const struct job_options *o);
/* words: SCRIPT (- is stdin), then the script's arguments. open: others may
 * send to its input stream. 0, or -EINVAL after an error message; body is to be
 * freed in any case. */
int job_request_build(const struct job_options *o, char **words, size_t n_words,
		      bool open, struct buf *body) MUST_CHECK;
/* Sends it: the job object, or NULL after an error message. */
json_t *job_request_submit(struct api *api, const struct buf *body);
void job_options_free(void *options);
