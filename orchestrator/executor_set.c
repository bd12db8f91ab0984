#include "orchestrator/executor_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

#define EXECUTOR_SET_MAX 8
#define EXECUTOR_SET_NAMES_BYTES 128
#define EXECUTOR_SET_WHY_BYTES 384 /* fits an error message */

struct executor_set {
	struct executor_entry entries[EXECUTOR_SET_MAX];
	size_t n;
	char names[EXECUTOR_SET_NAMES_BYTES];
	size_t reaping; /* how many have not said that they are done */
	void (*reaped)(void *ctx);
	void *reaped_ctx;
};

/* A list's item may itself be "docker,sandbox". */
static bool executor_set_item_has(const char *item, const char *name)
{
	size_t n = strlen(name);

	for (; item; item = strchr(item, ',')) {
		item += *item == ',';
		if (!strncmp(item, name, n) && (!item[n] || item[n] == ','))
			return true;
	}
	return false;
}

static bool executor_set_wants(const struct option_list *names,
			       const char *name)
{
	if (!names || !names->n)
		return true;
	for (size_t i = 0; i < names->n; i++)
		if (executor_set_item_has(names->items[i], name))
			return true;
	return false;
}

static int executor_set_check_names(const struct option_list *names, char *err,
				    size_t err_size)
{
	for (size_t i = 0; names && i < names->n; i++) {
		_cleanup_free_ char *copy = strdup(names->items[i]);
		char *rest = NULL, *name;

		if (!copy)
			return -ENOMEM;
		for (name = strtok_r(copy, ",", &rest); name;
		     name = strtok_r(NULL, ",", &rest))
			if (!executor_find(name)) {
				snprintf(err, err_size,
					 "there is no executor '%s' (there "
					 "are docker, sandbox and ssh)",
					 name);
				return -EINVAL;
			}
	}
	return 0;
}

/* why: what keeps the executors from working here, one after the other. */
static void executor_set_open(struct executor_set *s,
			      const struct executor_config *config,
			      const struct executor_ops *ops, char *why,
			      size_t why_size)
{
	struct executor_entry *e = &s->entries[s->n];
	size_t used = strlen(s->names);
	char err[256] = "";
	int r;

	r = ops->new (&e->executor, config, err, sizeof(err));
	if (r < 0) {
		log_warn(NULL, "executor %s is not available: %s", ops->name,
			 *err ? err : strerror(-r));
		used = strlen(why);
		snprintf(why + used, why_size - used, "%s%s",
			 used ? "; " : ": ", *err ? err : strerror(-r));
		return;
	}
	e->ops = ops;
	s->n++;
	snprintf(s->names + used, sizeof(s->names) - used, "%s%s",
		 used ? "," : "", ops->name);
}

int executor_set_new(struct executor_set **out,
		     const struct executor_config *config,
		     const struct option_list *names, char *err,
		     size_t err_size)
{
	_cleanup_(executor_set_freep) struct executor_set *s = NULL;
	char why[EXECUTOR_SET_WHY_BYTES] = "";
	int r;

	*out = NULL;
	r = executor_set_check_names(names, err, err_size);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (size_t i = 0; executors[i] && s->n < EXECUTOR_SET_MAX; i++)
		if (executor_set_wants(names, executors[i]->name))
			executor_set_open(s, config, executors[i], why,
					  sizeof(why));
	/* Other hosts are no help to those who did not ask for them. */
	if (!s->n || (s->entries[0].ops->remote && (!names || !names->n))) {
		snprintf(err, err_size,
			 "nothing here can run a script%s; 'cronium doctor' "
			 "says how to mend it",
			 why);
		return -ENODEV;
	}
	*out = s;
	s = NULL;
	return 0;
}

void executor_set_free(struct executor_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		s->entries[i].ops->free(s->entries[i].executor);
	free(s);
}

const char *executor_set_names(const struct executor_set *s)
{
	return s->names;
}

const char *executor_entry_problem(const struct executor_entry *e)
{
	return e->ops->problem ? e->ops->problem(e->executor) : NULL;
}

const char *executor_set_problem(const struct executor_set *s, char *names,
				 size_t size)
{
	const char *first = NULL, *problem;
	size_t at = 0;

	*names = '\0';
	for (size_t i = 0; i < s->n && at < size; i++) {
		problem = executor_entry_problem(&s->entries[i]);
		if (!problem)
			continue;
		at += (size_t)snprintf(names + at, size - at, "%s%s",
				       at ? "," : "", s->entries[i].ops->name);
		first = first ?: problem;
	}
	return first;
}

static const struct executor_entry *executor_set_choose_auto(
	const struct executor_set *s, bool machine)
{
	const struct executor_entry *best = NULL;
	int best_rank = -1;

	for (size_t i = 0; i < s->n; i++) {
		const struct executor_entry *e = &s->entries[i];
		int rank = 2 * !executor_entry_problem(e) +
			   (machine && e->ops->machine);

		if (e->ops->remote || rank <= best_rank)
			continue;
		best = e;
		best_rank = rank;
	}
	return best;
}

const struct executor_entry *executor_set_choose(const struct executor_set *s,
						 const char *name, bool machine)
{
	if (!strcmp(name, "auto"))
		return executor_set_choose_auto(s, machine);
	return executor_set_find(s, name);
}

const struct executor_entry *executor_set_find(const struct executor_set *s,
					       const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->entries[i].ops->name, name))
			return &s->entries[i];
	return NULL;
}

static void executor_set_on_reaped(void *ctx)
{
	struct executor_set *s = ctx;

	if (--s->reaping == 0)
		s->reaped(s->reaped_ctx);
}

void executor_set_reap(struct executor_set *s,
		       const struct executor_spare *spare,
		       void (*done)(void *ctx), void *ctx)
{
	s->reaping = s->n;
	s->reaped = done;
	s->reaped_ctx = ctx;
	for (size_t i = 0; i < s->n; i++)
		s->entries[i].ops->reap(s->entries[i].executor, spare,
					executor_set_on_reaped, s);
}
