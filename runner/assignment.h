/* What the runner was told to run: the ASSIGN message, checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/json.h"
#include "common/macro.h"
#include "runner/permit.h"

#define ASSIGNMENT_ARGS_MAX 4096
#define ASSIGNMENT_FILE_MODE 0600

struct assignment {
	json_t *root;                  /* owns the strings below */
	const char *execution, *token; /* or "" */
	const char **argv;             /* NULL-terminated */
	bool payload; /* SCRIPT is an archive, script_name a file of it */
	const char *script_name; /* one component; of a payload a path */
	size_t script_bytes;
	const char *signature; /* of SCRIPT's bytes; "": there is none */
	mode_t file_mode;      /* of the script's files */
	const json_t *env;     /* object of strings, or NULL */
	const char *work_dir;  /* absolute */
	const char *mode;      /* CRONIUM_EXECUTION_MODE, or "" */
	int64_t uid, gid;      /* -1: stay as we are */
	uint64_t keep_ms;      /* without an orchestrator; 0: none */
	uint64_t grace_ms;     /* when the runner itself is told to stop */
	struct permit permit;
	uint64_t max_stderr_bytes; /* 0: no limit */
};

/* For places without a cgroup; 0 = none. Set from the command line. */
struct limits {
	uint64_t memory_bytes; /* RLIMIT_DATA of each process */
	uint64_t processes;    /* RLIMIT_NPROC */
	bool on_host; /* what of a host reaches into a pod is refused */
	bool no_pod;  /* nothing is: the script may do what its user may */
};

/* 0, or -EINVAL or -ENOMEM with a sentence in err. */
int assignment_parse(struct assignment *a, const void *data, size_t len,
		     char *err, size_t err_size) MUST_CHECK;
void assignment_deinit(struct assignment *a);
