/* What `run` and `submit` take: the options of a job. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"
#include "common/options.h"

struct job_options {
	struct cli_globals globals;
	const char *runtime, *executor, *image, *input, *memory, *cpus, *name;
	uint64_t timeout_ms;
	const char *input_stream, *input_from, *agent, *session;
	struct option_list env, labels, on, vars_read, vars_write, tools;
	bool egress, read_only, dry_run, no_wait;
	/* The runtime block. 0 and NULL: not given. */
	const char *environment, *backoff, *file_perm, *host;
	const char *verify; /* a payload's signature, with this key */
	struct option_optional allow_net, allow_read, allow_write, allow_env;
	struct option_list node_options;
	uint64_t stderr_bytes, retries;
	bool allow_run, allow_all, no_call_agents, no_call_workflows;
};

#define JOB_OPTION(name, letter, type, field, arg, initial, help)      \
	CLI_OPTION(name, letter, type, struct job_options, field, arg, \
		   initial, help)
#define JOB_OPTIONS                                                            \
	JOB_OPTION("runtime", 'r', OPTION_STRING, runtime, "NAME", NULL,       \
		   "python, node, bash, bun; default: by suffix or #! line"),  \
		JOB_OPTION("executor", 'x', OPTION_STRING, executor, "NAME",   \
			   "auto",                                             \
			   "docker, sandbox, ssh, or auto: what the server "   \
			   "has"),                                             \
		JOB_OPTION("host", 0, OPTION_STRING, host, "NAME", NULL,       \
			   "run it on this registered host, by SSH"),          \
		JOB_OPTION("image", 0, OPTION_STRING, image, "IMAGE", NULL,    \
			   "Docker image instead of the runtime's own"),       \
		JOB_OPTION("verify", 0, OPTION_STRING, verify, "FILE", NULL,   \
			   "check a payload's signature with this public "     \
			   "key first"),                                       \
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
		JOB_OPTION("memory", 'm', OPTION_STRING, memory, "SIZE", NULL, \
			   "most memory, such as 256m; default: 2g"),          \
		JOB_OPTION("cpus", 0, OPTION_STRING, cpus, "N", "1",           \
			   "processor share, such as 0.5 or 2"),               \
		JOB_OPTION("env", 'e', OPTION_LIST, env, "K=V", NULL,          \
			   "environment variable; K alone passes ours on; "    \
			   "repeatable"),                                      \
		JOB_OPTION("allow-net", 0, OPTION_OPTIONAL, allow_net,         \
			   "[=HOST,...]", NULL,                                \
			   "let it call any host or these (HOST:PORT, "        \
			   "*.HOST)"),                                         \
		JOB_OPTION("allow-read", 0, OPTION_OPTIONAL, allow_read,       \
			   "[=PATH,...]", NULL, "let it read all or these"),   \
		JOB_OPTION("allow-write", 0, OPTION_OPTIONAL, allow_write,     \
			   "[=PATH,...]", NULL, "let it write all or these"),  \
		JOB_OPTION("allow-env", 0, OPTION_OPTIONAL, allow_env,         \
			   "[=NAME,...]", NULL,                                \
			   "let it see all or these of the place's own "       \
			   "environment"),                                     \
		JOB_OPTION("allow-run", 0, OPTION_FLAG, allow_run, NULL, NULL, \
			   "let it start other programs"),                     \
		JOB_OPTION("allow-all", 0, OPTION_FLAG, allow_all, NULL, NULL, \
			   "each of them: confined by nothing but its pod"),   \
		JOB_OPTION("egress", 0, OPTION_FLAG, egress, NULL, NULL,       \
			   "a network of its pod's own (Docker)"),             \
		JOB_OPTION("environment", 0, OPTION_STRING, environment,       \
			   "NAME", NULL,                                       \
			   "development, staging or production; default: "     \
			   "production"),                                      \
		JOB_OPTION("node-option", 0, OPTION_LIST, node_options,        \
			   "--OPTION", NULL,                                   \
			   "option of Node in front of the script; "           \
			   "repeatable"),                                      \
		JOB_OPTION("max-stderr", 0, OPTION_BYTES, stderr_bytes,        \
			   "SIZE", NULL,                                       \
			   "what is kept of its stderr; default: 1m"),         \
		JOB_OPTION("retries", 0, OPTION_UINT, retries, "N", NULL,      \
			   "try again so often after a failure; default: 0"),  \
		JOB_OPTION("backoff", 0, OPTION_STRING, backoff,               \
			   "INITIAL/MAX/MAX-ELAPSED", NULL,                    \
			   "waits between tries; default: 100ms/5s/30s"),      \
		JOB_OPTION("file-perm", 0, OPTION_STRING, file_perm, "MODE",   \
			   NULL,                                               \
			   "of its files in the work dir; default: 0600"),     \
		JOB_OPTION("no-call-agents", 0, OPTION_FLAG, no_call_agents,   \
			   NULL, NULL, "refuse it cronium/call-agent"),        \
		JOB_OPTION("no-call-workflows", 0, OPTION_FLAG,                \
			   no_call_workflows, NULL, NULL,                      \
			   "refuse it cronium/call-workflow"),                 \
		JOB_OPTION("agent", 0, OPTION_STRING, agent, "NAME", NULL,     \
			   "the only orchestrator that may run it"),           \
		JOB_OPTION("on", 0, OPTION_LIST, on, "K=V", NULL,              \
			   "run it by an orchestrator with this label; "       \
			   "repeatable: all of them"),                         \
		JOB_OPTION("session", 0, OPTION_STRING, session, "NAME", NULL, \
			   "put it into this session"),                        \
		JOB_OPTION("no-wait", 0, OPTION_FLAG, no_wait, NULL, NULL,     \
			   "let it fail where it would wait for more than a "  \
			   "free slot"),                                       \
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
			   "let it write no variables and set no condition"),  \
		JOB_OPTION("dry-run", 0, OPTION_FLAG, dry_run, NULL, NULL,     \
			   "show its tool actions instead of sending them"),   \
		JOB_OPTION("name", 'n', OPTION_STRING, name, "NAME", NULL,     \
			   "name of the job; default: the script's"),          \
		JOB_OPTION("label", 'l', OPTION_LIST, labels, "K=V", NULL,     \
			   "label to find it by; repeatable")

void job_options_free(void *options);
