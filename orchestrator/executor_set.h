/*
 * The executors that work on this machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/options.h"
#include "orchestrator/executor.h"

struct executor_set;

/* An executor that works here. */
struct executor_entry {
	const struct executor_ops *ops;
	struct executor *executor;
};

/*
 * Opens those that are named (NULL or an empty list: all), and leaves out,
 * with a line in the log, what does not work here. 0, or negative errno with
 * a sentence in err when a name is unknown or none works.
 */
int executor_set_new(struct executor_set **out,
		     const struct executor_config *config,
		     const struct option_list *names, char *err,
		     size_t err_size) MUST_CHECK;
void executor_set_free(struct executor_set *s);
DEFINE_CLEANUP(struct executor_set *, executor_set_free)

/* "docker,sandbox" */
const char *executor_set_names(const struct executor_set *s);
/* By name. NULL: not here. */
const struct executor_entry *executor_set_find(const struct executor_set *s,
					       const char *name);
/* By name; "auto" is the first there is that has no problem, or the first;
 * machine: rather one that has the machine's own programs. NULL: not here. */
const struct executor_entry *executor_set_choose(const struct executor_set *s,
						 const char *name,
						 bool machine);
/* As executor_ops.problem. */
const char *executor_entry_problem(const struct executor_entry *e);
/* The names of those with a problem, "docker,ssh", cut to size, and what the
 * first says; NULL, and "": there are none. */
const char *executor_set_problem(const struct executor_set *s, char *names,
				 size_t size);
/* As executor_ops.reap, of all; once at a time, and done may be called from
 * within. */
void executor_set_reap(struct executor_set *s,
		       const struct executor_spare *spare,
		       void (*done)(void *ctx), void *ctx);
