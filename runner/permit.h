/*
 * What a script may do, and how the kernel is made to hold it (ARCHITECTURE.md,
 * *Permissions*). The child that becomes the script confines itself between
 * fork and exec:
 *
 *   paths   Landlock: what it may read, write and, of Bash, execute
 *           (runner/permit_paths.h)
 *   calls   seccomp: programs that it starts are asked for at the runner's
 *           gate (runner/gate.h); without `write` no file's mode, owner, times
 *           or attributes are changed (runner/permit_calls.h)
 *
 * `net` is the pod's business, `env` that of runner/environment.h.
 */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define PERMIT_LIST_MAX 1024 /* items of a list */

/* Each but run is true, false or an array of strings; NULL is false. */
struct permit {
	const json_t *net, *read, *write, *env;
	bool run;
	bool bash; /* may start the programs that its SDK needs */
	/* Of a capability's program: what is listed is had only below one of
	 * these, and "." is the work dir (runner/permit_shares.h); NULL: it is
	 * a script. */
	const json_t *shares;
	bool signals; /* it may signal processes outside of its pod */
};

/* Reads `permissions` and `runtime` of an ASSIGN message, which must outlive
 * p. What is not there is not granted. 0 or -EINVAL. */
int permit_parse(struct permit *p, const json_t *assign) MUST_CHECK;
/* Whether all five are granted, so that nothing is confined. */
bool permit_is_open(const struct permit *p);
/* Whether v grants everything; whether it lists item. */
bool permit_is_all(const json_t *v);
bool permit_has(const json_t *v, const char *item);

/* What the child knows of its place. */
struct permit_place {
	const char *work_dir;
	const char *program; /* the interpreter's file */
	const char *path;    /* of the runner: where Bash's programs lie */
	const char *ca_file; /* CRONIUM_CA_FILE of the script, or NULL */
	int gate_fd;         /* the child's end, runner/gate.h */
};

/* Outcomes of permit_apply(): what could not be done, for permit_explain(). */
enum {
	PERMIT_E_PATHS = 1,
	PERMIT_E_CALLS,
};

/*
 * Confines the calling process, which must have no_new_privs and no other
 * thread. 0, or PERMIT_E_* with a positive errno in *error.
 */
int permit_apply(const struct permit *p, const struct permit_place *place,
		 int *error) MUST_CHECK;
/* A sentence that says what the kernel cannot do, and what to do next. */
void permit_explain(const struct permit *p, int what, int error, char *err,
		    size_t err_size);
