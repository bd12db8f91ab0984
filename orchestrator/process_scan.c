#include "orchestrator/process_scan.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/snapshot.h"

#define PROCESS_SCAN_GROWTH 256 /* processes */

/* What is remembered of a process from one scan to the next. */
struct process_seen {
	int pid;
	uint64_t start_ticks, ticks;
};

struct process_list {
	struct process_seen *items; /* by pid: as /proc lists them */
	size_t n, cap;
};

struct process_scan {
	DIR *dir;
	bool under_way, had_one;
	uint64_t began_us, last_began_us;
	struct process_list before, now;
	struct snapshot_processes found; /* cpu_percent: ticks, so far */
	long ticks_per_s, page_bytes;
};

int process_scan_new(struct process_scan **out)
{
	struct process_scan *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->ticks_per_s = sysconf(_SC_CLK_TCK);
	s->page_bytes = sysconf(_SC_PAGESIZE);
	s->dir = opendir("/proc");
	if (!s->dir) {
		r = -errno;
		process_scan_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void process_scan_free(struct process_scan *s)
{
	if (!s)
		return;
	if (s->dir)
		closedir(s->dir);
	free(s->before.items);
	free(s->now.items);
	free(s);
}

/* --- remembering ---------------------------------------------------------- */

/* One that does not fit is not named the next time. */
static void process_list_add(struct process_list *l,
			     const struct process_seen *seen)
{
	struct process_seen *items;

	if (l->n == l->cap && l->cap < PROCESS_SCAN_MAX) {
		size_t cap = l->cap + PROCESS_SCAN_GROWTH;

		items = reallocarray(l->items, cap, sizeof(*items));
		if (items) {
			l->items = items;
			l->cap = cap;
		}
	}
	if (l->n < l->cap)
		l->items[l->n++] = *seen;
}

static int process_compare(const void *key, const void *item)
{
	const struct process_seen *a = key, *b = item;

	return (a->pid > b->pid) - (a->pid < b->pid);
}

/* The ticks of the time since the scan before; of a process that is new, all
 * that it has. */
static uint64_t process_scan_ticks(const struct process_scan *s,
				   const struct process_seen *seen)
{
	const struct process_seen *before;

	before = s->before.n ? bsearch(seen, s->before.items, s->before.n,
				       sizeof(*seen), process_compare)
			     : NULL;
	if (!before || before->start_ticks != seen->start_ticks)
		return seen->ticks;
	return seen->ticks > before->ticks ? seen->ticks - before->ticks : 0;
}

/* --- ranking -------------------------------------------------------------- */

static bool process_uses_more(const struct snapshot_process *a,
			      const struct snapshot_process *b)
{
	if (a->cpu_percent != b->cpu_percent)
		return a->cpu_percent > b->cpu_percent;
	return a->memory_bytes > b->memory_bytes;
}

static void process_scan_rank(struct snapshot_processes *found,
			      const struct snapshot_process *p)
{
	size_t at = found->n_top;

	while (at && process_uses_more(p, &found->top[at - 1]))
		at--;
	if (at == SNAPSHOT_TOP)
		return;
	found->n_top = MIN(found->n_top + 1, SNAPSHOT_TOP);
	memmove(&found->top[at + 1], &found->top[at],
		(found->n_top - at - 1) * sizeof(*p));
	found->top[at] = *p;
}

static void process_scan_note(struct process_scan *s,
			      const struct proc_stat *stat)
{
	const struct process_seen seen = { stat->pid, stat->start_ticks,
					   stat->ticks };
	struct snapshot_process p = {
		.pid = stat->pid,
		.memory_bytes = stat->rss_pages * (uint64_t)s->page_bytes,
	};

	s->found.count++;
	s->found.zombies += stat->state == 'Z';
	process_list_add(&s->now, &seen);
	p.cpu_percent = (double)process_scan_ticks(s, &seen);
	memcpy(p.name, stat->name, sizeof(p.name));
	process_scan_rank(&s->found, &p);
}

/* --- /proc ---------------------------------------------------------------- */

/* One that ends meanwhile is none. */
static void process_scan_look(struct process_scan *s, const char *name)
{
	struct proc_stat stat;

	if (!proc_stat_read(dirfd(s->dir), name, &stat))
		process_scan_note(s, &stat);
}

static void process_scan_begin(struct process_scan *s, uint64_t now_us)
{
	rewinddir(s->dir);
	s->under_way = true;
	s->began_us = now_us;
	s->now.n = 0;
	s->found = (struct snapshot_processes){ 0 };
}

static void process_scan_end(struct process_scan *s, uint32_t cores,
			     struct snapshot_processes *out)
{
	struct process_list spare = s->before;
	double ticks = (double)(s->began_us - s->last_began_us) / 1e6 *
		       (double)s->ticks_per_s * MAX(cores, 1U);

	for (size_t i = 0; i < s->found.n_top; i++) {
		struct snapshot_process *p = &s->found.top[i];

		p->cpu_percent = ticks > 0 ? p->cpu_percent / ticks * 100 : 0;
		p->cpu_percent = MIN(p->cpu_percent, 100.0);
	}
	/* The first time these are the ticks of whole lives. */
	if (!s->had_one)
		s->found.n_top = 0;
	*out = s->found;
	s->before = s->now;
	s->now = spare;
	s->last_began_us = s->began_us;
	s->had_one = true;
	s->under_way = false;
}

bool process_scan_step(struct process_scan *s, uint64_t now_us, uint32_t cores,
		       struct snapshot_processes *out)
{
	struct dirent *entry = NULL;
	size_t looked = 0;

	if (!s->under_way)
		process_scan_begin(s, now_us);
	while (looked < PROCESS_SCAN_STEP && (entry = readdir(s->dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		process_scan_look(s, entry->d_name);
		looked++;
	}
	if (entry)
		return false;
	process_scan_end(s, cores, out);
	return true;
}
