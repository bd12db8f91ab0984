/*
 * A command of `cronium`: one file cmd_NAME.c and one line in commands[]
 * (main.c). The option table is its documentation: --help prints it, and
 * docs/cli.md is compared with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/options.h"

/* What cronium ends with. Between, `run` ends with the script's own code. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_TIMED_OUT = 124,
	CLI_NOT_RUN = 125, /* lost, or it could not be started */
	CLI_CANCELLED = 130,
};

/* First member of every command's options. */
struct cli_globals {
	const char *server;
	const char *data_dir, *run_dir;
	bool json;
	bool help;
};

#define CLI_OPTION(name, letter, type, target, field, arg, initial, help)  \
	{                                                                  \
		name, letter, type, offsetof(target, field), arg, initial, \
			help                                               \
	}
#define CLI_GLOBAL_OPTION(name, letter, type, field, arg, help)              \
	CLI_OPTION(name, letter, type, struct cli_globals, field, arg, NULL, \
		   help)

#define CLI_DIR_OPTIONS                                                        \
	CLI_GLOBAL_OPTION("data-dir", 0, OPTION_STRING, data_dir, "DIR",       \
			  "where a local server keeps its data"),              \
		CLI_GLOBAL_OPTION("run-dir", 0, OPTION_STRING, run_dir, "DIR", \
				  "where a local server keeps its sockets")
#define CLI_JSON_OPTION                                       \
	CLI_GLOBAL_OPTION("json", 0, OPTION_FLAG, json, NULL, \
			  "one JSON value on stdout, for programs")
#define CLI_HELP_OPTION                                         \
	CLI_GLOBAL_OPTION("help", 'h', OPTION_FLAG, help, NULL, \
			  "print this and exit")
/* For every command that speaks to a server. */
#define CLI_SERVER_OPTIONS                                                   \
	CLI_GLOBAL_OPTION("server", 0, OPTION_STRING, server, "URL",         \
			  "unix:PATH, http://HOST:PORT or https://…; see " \
			  "below"),                                          \
		CLI_DIR_OPTIONS, CLI_JSON_OPTION, CLI_HELP_OPTION

struct command {
	const char *name;
	const char *words;   /* "JOB", "SCRIPT [-- ARG...]" */
	const char *summary; /* one line */
	const char *details; /* more for --help; NULL for none */
	const struct option_spec *options;
	size_t n_options;
	size_t options_bytes; /* of its struct */
	size_t words_min, words_max;
	bool words_any;  /* what follows the first word is not ours to read */
	bool words_help; /* --help after words is run's to answer */
	int (*run)(const void *options, char **words, size_t n_words);
	/* Frees what option lists took; may be NULL. */
	void (*free_options)(void *options);
};

extern const struct command command_run, command_submit, command_send,
	command_tail, command_jobs, command_job, command_logs, command_cancel,
	command_vars, command_up, command_doctor, command_audit, command_tools,
	command_dev, command_migrate, command_pack, command_payload,
	command_hosts, command_agents, command_agent, command_top, command_wal,
	command_exec, command_session;
