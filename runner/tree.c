#include "runner/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/clock.h"

#define TREE_STAT_BYTES 512
#define TREE_KILL_AGAIN_US 1000
#define TREE_PROCESSES_MAX 65536

struct tree_process {
	pid_t pid, parent;
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

/* The fourth field; the second may contain anything but ends at the last ). */
static pid_t tree_parent_of(pid_t pid)
{
	char path[64], stat[TREE_STAT_BYTES];
	_cleanup_close_ int fd = -1;
	const char *after;
	ssize_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return -1;
	stat[n] = '\0';
	after = strrchr(stat, ')');
	if (!after || sscanf(after + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static int tree_list_add(struct tree_list *l, pid_t pid, pid_t parent)
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
	l->items[l->n++] = (struct tree_process){ pid, parent, false };
	return 0;
}

static void tree_list_fill(struct tree_list *l)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		pid_t parent = pid > 0 ? tree_parent_of(pid) : -1;

		if (parent > 0 && tree_list_add(l, pid, parent) < 0)
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

static void tree_signal_descendants(int sig)
{
	struct tree_list l = { 0 };
	bool more = true;

	tree_list_fill(&l);
	while (more) {
		more = false;
		for (size_t i = 0; i < l.n; i++) {
			struct tree_process *p = &l.items[i];

			if (p->ours || !tree_list_is_ours(&l, p->parent))
				continue;
			p->ours = more = true;
			kill(p->pid, sig);
		}
	}
	free(l.items);
}

void tree_signal(int sig)
{
	if (tree_is_pid1())
		kill(-1, sig);
	else
		tree_signal_descendants(sig);
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
