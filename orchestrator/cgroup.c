#include "orchestrator/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cgroup_usage.h"
#include "orchestrator/cgroup_hold.h"
#include "orchestrator/cgroup_mount.h"

#define CGROUP_CPU_PERIOD_US 100000
#define CGROUP_HIERARCHIES_MAX 4 /* v2, and memory, pids, cpu of v1 */
#define CGROUP_FILE_BYTES 4096

/* One mounted hierarchy and what of it serves us. */
struct cgroup_hierarchy {
	bool v2;
	unsigned int controllers;
	int fd; /* of cronium/INSTANCE */
	char *path;
};

struct cgroup_root {
	struct cgroup_hierarchy items[CGROUP_HIERARCHIES_MAX];
	size_t n;
};

struct cgroup {
	struct cgroup_root *root;
	int fds[CGROUP_HIERARCHIES_MAX];
	char name[];
};

static const struct {
	const char *name;
	enum cgroup_controller bit;
} cgroup_controllers[] = {
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
	{ "cpu", CGROUP_CPU },
};

static int cgroup_write(int dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int cgroup_write_uint(int dir, const char *file, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return cgroup_write(dir, file, text);
}

/* The file as a string; "" when it cannot be read. */
static void cgroup_read(int dir, const char *file, char text[CGROUP_FILE_BYTES])
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, CGROUP_FILE_BYTES - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* Passes the controllers of a v2 cgroup on to its children. */
static unsigned int cgroup_delegate(const char *path)
{
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned int enabled = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cgroup_controllers); i++) {
		char text[32];

		snprintf(text, sizeof(text), "+%s", cgroup_controllers[i].name);
		if (cgroup_write(dir, "cgroup.subtree_control", text) == 0)
			enabled |= cgroup_controllers[i].bit;
	}
	return enabled;
}

/* parent/cronium/INSTANCE, with v2 controllers passed down to it. */
static int cgroup_hierarchy_make(struct cgroup_hierarchy *h, const char *parent,
				 const char *instance)
{
	_cleanup_free_ char *ours = NULL, *path = NULL;

	if (asprintf(&ours, "%s/cronium", parent) < 0 ||
	    asprintf(&path, "%s/%s", ours, instance) < 0)
		return -ENOMEM;
	if (!cgroup_make_dir(ours))
		return -EACCES;
	if (h->v2) {
		cgroup_delegate(parent);
		cgroup_delegate(ours);
	}
	h->fd = cgroup_hold(path);
	if (h->fd < 0)
		return h->fd;
	if (h->v2)
		h->controllers = cgroup_delegate(path);
	cgroup_tidy(ours, instance);
	h->path = path;
	path = NULL;
	return 0;
}

/* At the top if we may, else below the cgroup that we were put into. */
static int cgroup_root_add(struct cgroup_root *root, const char *controller,
			   unsigned int bit, const char *instance)
{
	_cleanup_free_ char *mount = NULL, *own = NULL, *below = NULL;
	struct cgroup_hierarchy h = {
		.v2 = !controller,
		.controllers = bit,
		.fd = -1,
	};
	int r;

	r = cgroup_mount_find(controller, &mount, &own);
	if (r < 0)
		return r;
	if (asprintf(&below, "%s%s", mount, own) < 0)
		return -ENOMEM;
	r = cgroup_hierarchy_make(&h, mount, instance);
	if (r == -EACCES && strcmp(own, "/"))
		r = cgroup_hierarchy_make(&h, below, instance);
	if (r < 0)
		return r;
	for (size_t i = 0; i < root->n; i++) {
		/* cpu and cpuacct are often one hierarchy under two names */
		if (strcmp(root->items[i].path, h.path))
			continue;
		root->items[i].controllers |= h.controllers;
		free(h.path);
		close(h.fd);
		return 0;
	}
	root->items[root->n++] = h;
	return 0;
}

int cgroup_root_new(struct cgroup_root **out, const char *instance)
{
	struct cgroup_root *root = calloc(1, sizeof(*root));
	int r;

	if (!root)
		return -ENOMEM;
	r = cgroup_root_add(root, NULL, 0, instance);
	for (size_t i = 0; r != -ENOMEM && i < ARRAY_SIZE(cgroup_controllers);
	     i++)
		r = cgroup_root_add(root, cgroup_controllers[i].name,
				    cgroup_controllers[i].bit, instance);
	if (r == -ENOMEM || !root->n) {
		cgroup_root_free(root);
		return r == -ENOMEM ? -ENOMEM : CGROUP_E_NONE;
	}
	*out = root;
	return 0;
}

void cgroup_root_free(struct cgroup_root *root)
{
	if (!root)
		return;
	for (size_t i = 0; i < root->n; i++) {
		struct cgroup_hierarchy *h = &root->items[i];

		close(h->fd);
		if (rmdir(h->path) == 0) {
			*strrchr(h->path, '/') = '\0';
			rmdir(h->path); /* unless another instance is there */
		}
		free(h->path);
	}
	free(root);
}

unsigned int cgroup_root_controllers(const struct cgroup_root *root)
{
	unsigned int all = 0;

	for (size_t i = 0; i < root->n; i++)
		all |= root->items[i].controllers;
	return all;
}

static int cgroup_limit_v2(int dir, unsigned int controllers,
			   const struct cgroup_limits *l)
{
	char cpu[64];
	int r = 0;

	if (controllers & CGROUP_MEMORY) {
		r = cgroup_write_uint(dir, "memory.max", l->memory_bytes);
		/* absent where the kernel does no swap accounting */
		(void)cgroup_write(dir, "memory.swap.max", "0");
	}
	if (!r && controllers & CGROUP_PIDS)
		r = cgroup_write_uint(dir, "pids.max", l->pids);
	snprintf(cpu, sizeof(cpu), "%llu %d",
		 l->cpu_milli * (CGROUP_CPU_PERIOD_US / 1000ULL),
		 CGROUP_CPU_PERIOD_US);
	if (!r && controllers & CGROUP_CPU)
		r = cgroup_write(dir, "cpu.max", cpu);
	return r;
}

static int cgroup_limit_v1(int dir, unsigned int controllers,
			   const struct cgroup_limits *l)
{
	int r = 0;

	if (controllers & CGROUP_MEMORY) {
		r = cgroup_write_uint(dir, "memory.limit_in_bytes",
				      l->memory_bytes);
		(void)cgroup_write_uint(dir, "memory.memsw.limit_in_bytes",
					l->memory_bytes);
	}
	if (!r && controllers & CGROUP_PIDS)
		r = cgroup_write_uint(dir, "pids.max", l->pids);
	if (!r && controllers & CGROUP_CPU) {
		r = cgroup_write_uint(dir, "cpu.cfs_period_us",
				      CGROUP_CPU_PERIOD_US);
		if (!r)
			r = cgroup_write_uint(dir, "cpu.cfs_quota_us",
					      l->cpu_milli *
						      (CGROUP_CPU_PERIOD_US /
						       1000ULL));
	}
	return r;
}

static int cgroup_open(struct cgroup *c, const struct cgroup_limits *limits)
{
	int r = 0;

	for (size_t i = 0; !r && i < c->root->n; i++) {
		const struct cgroup_hierarchy *h = &c->root->items[i];

		if (mkdirat(h->fd, c->name, 0755) < 0)
			return -errno;
		c->fds[i] = openat(h->fd, c->name,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (c->fds[i] < 0)
			return -errno;
		r = (h->v2 ? cgroup_limit_v2 : cgroup_limit_v1)(c->fds[i],
								h->controllers,
								limits);
	}
	return r;
}

static struct cgroup *cgroup_alloc(struct cgroup_root *root, const char *name)
{
	struct cgroup *c = malloc(sizeof(*c) + strlen(name) + 1);

	if (!c)
		return NULL;
	c->root = root;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		c->fds[i] = -1;
	strcpy(c->name, name);
	return c;
}

int cgroup_adopt(struct cgroup **out, struct cgroup_root *root,
		 const char *name)
{
	struct cgroup *c = cgroup_alloc(root, name);

	*out = c;
	for (size_t i = 0; c && i < root->n; i++)
		c->fds[i] = openat(root->items[i].fd, name,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c ? 0 : -ENOMEM;
}

int cgroup_new(struct cgroup **out, struct cgroup_root *root, const char *name,
	       const struct cgroup_limits *limits)
{
	struct cgroup *c = cgroup_alloc(root, name);
	int r;

	if (!c)
		return -ENOMEM;
	r = cgroup_open(c, limits);
	if (r < 0) {
		cgroup_remove(c);
		cgroup_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void cgroup_free(struct cgroup *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		closep(&c->fds[i]);
	free(c);
}

int cgroup_clone_fd(const struct cgroup *c)
{
	for (size_t i = 0; i < c->root->n; i++) {
		if (c->root->items[i].v2)
			return c->fds[i];
	}
	return -1;
}

int cgroup_enter(const struct cgroup *c)
{
	int r = 0;

	/* "0" in tasks moves the caller alone, without the global lock that
	 * cgroup.procs takes and that costs milliseconds. */
	for (size_t i = 0; !r && i < c->root->n; i++) {
		if (!c->root->items[i].v2)
			r = cgroup_write(c->fds[i], "tasks", "0");
	}
	return r;
}

static void cgroup_kill_listed(int dir)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/cgroup.procs", dir);
	f = fopen(path, "re");
	if (!f)
		return;
	/* A process of another PID namespace reads as 0: never our group. */
	while (fscanf(f, "%d", &pid) == 1) {
		if (pid > 1)
			kill(pid, SIGKILL);
	}
	fclose(f);
}

/* With no fork allowed any more, one pass over the list is enough. */
static void cgroup_kill_dir(int dir)
{
	if (cgroup_write(dir, "cgroup.kill", "1") == 0)
		return;
	(void)cgroup_write(dir, "pids.max", "0");
	cgroup_kill_listed(dir);
}

void cgroup_kill(struct cgroup *c)
{
	for (size_t i = 0; i < c->root->n; i++) {
		if (c->fds[i] >= 0)
			cgroup_kill_dir(c->fds[i]);
	}
}

bool cgroup_oom_killed(const struct cgroup *c)
{
	char text[CGROUP_FILE_BYTES];

	for (size_t i = 0; i < c->root->n; i++) {
		const struct cgroup_hierarchy *h = &c->root->items[i];
		const char *at;

		if (!(h->controllers & CGROUP_MEMORY))
			continue;
		cgroup_read(c->fds[i],
			    h->v2 ? "memory.events" : "memory.oom_control",
			    text);
		at = strstr(text, "oom_kill ");
		if (at && strtoull(at + strlen("oom_kill "), NULL, 10))
			return true;
	}
	return false;
}

void cgroup_measure(const struct cgroup *c, struct cgroup_usage *out)
{
	for (size_t i = 0; i < c->root->n; i++)
		if (c->fds[i] >= 0)
			cgroup_usage_read(c->fds[i], out);
}

bool cgroup_remove(struct cgroup *c)
{
	bool gone = true;

	for (size_t i = 0; i < c->root->n; i++) {
		if (unlinkat(c->root->items[i].fd, c->name, AT_REMOVEDIR) < 0 &&
		    errno != ENOENT)
			gone = false;
	}
	return gone;
}

static bool cgroup_sweep_hierarchy(const struct cgroup_hierarchy *h,
				   bool (*spared)(const char *name, void *ctx),
				   void *ctx)
{
	DIR *dir = opendir(h->path);
	struct dirent *entry;
	bool gone = true;

	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    spared(entry->d_name, ctx))
			continue;
		fd = openat(h->fd, entry->d_name, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			continue;
		cgroup_kill_dir(fd);
		if (unlinkat(h->fd, entry->d_name, AT_REMOVEDIR) < 0)
			gone = false;
	}
	if (dir)
		closedir(dir);
	return gone;
}

bool cgroup_root_sweep(struct cgroup_root *root,
		       bool (*spared)(const char *name, void *ctx), void *ctx)
{
	bool gone = true;

	for (size_t i = 0; i < root->n; i++)
		gone &= cgroup_sweep_hierarchy(&root->items[i], spared, ctx);
	return gone;
}
