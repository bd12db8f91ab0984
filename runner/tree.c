#include "runner/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/cgroup_usage.h"
#include "common/clock.h"
#include "common/proc_stat.h"

#define TREE_KILL_AGAIN_US 1000
#define TREE_PID_BYTES 24
#define TREE_PROCESSES_MAX 65536

struct tree_process {
	pid_t pid, parent;
	uint64_t ticks, rss_pages;
	bool ours;
};

struct tree_list {
	struct tree_process *items;
	size_t n, cap;
};

bool tree_is_pid1(void)
{
	return getpid() == 1;
}

int tree_init(void)
{
	/* An emulator of user programs (qemu-user) does not know it: there a
	 * process that leaves its parent is out of reach. */
	if (!tree_is_pid1() && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 &&
	    errno != EINVAL)
		return -errno;
	return 0;
}

static int tree_list_add(struct tree_list *l, const struct proc_stat *stat)
{
	struct tree_process *items;
	size_t cap;

	if (l->n == l->cap) {
		cap = l->cap ? l->cap * 2 : 256;
		if (cap > TREE_PROCESSES_MAX)
			return -E2BIG;
		items = reallocarray(l->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = (struct tree_process){
		.pid = stat->pid,
		.parent = stat->parent,
		.ticks = stat->ticks,
		.rss_pages = stat->rss_pages,
	};
	return 0;
}

static void tree_list_fill(struct tree_list *l)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		struct proc_stat stat;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    proc_stat_read(dirfd(proc), entry->d_name, &stat) < 0)
			continue;
		if (stat.parent > 0 && tree_list_add(l, &stat) < 0)
			break;
	}
	closedir(proc);
}

static bool tree_list_is_ours(const struct tree_list *l, pid_t parent)
{
	if (parent == getpid())
		return true;
	for (size_t i = 0; i < l->n; i++) {
		if (l->items[i].pid == parent)
			return l->items[i].ours;
	}
	return false;
}

/* Whoever descends from this process. */
static void tree_list_mark(struct tree_list *l)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < l->n; i++) {
			struct tree_process *p = &l->items[i];

			if (p->ours || !tree_list_is_ours(l, p->parent))
				continue;
			p->ours = more = true;
		}
	}
}

static void tree_signal_descendants(int sig)
{
	struct tree_list l = { 0 };

	tree_list_fill(&l);
	tree_list_mark(&l);
	for (size_t i = 0; i < l.n; i++)
		if (l.items[i].ours)
			kill(l.items[i].pid, sig);
	free(l.items);
}

void tree_signal(int sig)
{
	if (tree_is_pid1())
		kill(-1, sig);
	else
		tree_signal_descendants(sig);
}

static int64_t tree_us(struct timeval tv)
{
	return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

/* On a host /proc may be that of another PID namespace. */
static bool tree_sees_itself(void)
{
	char self[TREE_PID_BYTES];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);

	self[MAX(n, 0)] = '\0';
	return strtol(self, NULL, 10) == getpid();
}

int tree_measure(struct cgroup_usage *out)
{
	uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	struct tree_list l = { 0 };
	struct rusage ended;

	if (!tree_sees_itself() || getrusage(RUSAGE_CHILDREN, &ended) < 0)
		return -ENOENT;
	tree_list_fill(&l);
	tree_list_mark(&l);
	out->cpu_us = tree_us(ended.ru_utime) + tree_us(ended.ru_stime);
	out->memory_bytes = out->pids = 0;
	for (size_t i = 0; i < l.n; i++) {
		const struct tree_process *p = &l.items[i];

		if (!p->ours)
			continue;
		out->cpu_us += (int64_t)(p->ticks * tick_us);
		out->memory_bytes += (int64_t)(p->rss_pages *
					       (uint64_t)sysconf(_SC_PAGESIZE));
		out->pids++;
	}
	free(l.items);
	return 0;
}

void tree_kill_all(uint64_t max_ms)
{
	uint64_t deadline = clock_mono_ms() + max_ms;
	bool main_ended;
	int status;

	while (tree_reap(0, &main_ended, &status) &&
	       clock_mono_ms() < deadline) {
		tree_signal(SIGKILL);
		usleep(TREE_KILL_AGAIN_US);
	}
}

bool tree_reap(pid_t main, bool *main_ended, int *status)
{
	for (;;) {
		int s;
		pid_t pid = waitpid(-1, &s, WNOHANG);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return pid == 0;
		if (pid == main) {
			*main_ended = true;
			*status = s;
		}
	}
}
