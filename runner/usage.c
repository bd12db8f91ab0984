#include "runner/usage.h"

#include <errno.h>
#include <fcntl.h>

#include "common/cgroup_usage.h"
#include "common/json.h"
#include "runner/tree.h"

/* v2 has everything in one directory, v1 one for each controller. */
static const char *const usage_dirs[] = {
	"/sys/fs/cgroup",
	"/sys/fs/cgroup/memory",
	"/sys/fs/cgroup/cpuacct",
};

static void usage_read_cgroup(struct cgroup_usage *u)
{
	for (size_t i = 0; i < ARRAY_SIZE(usage_dirs); i++) {
		_cleanup_close_ int dir =
			open(usage_dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (dir >= 0)
			cgroup_usage_read(dir, u);
	}
}

int64_t usage_peak_memory(void)
{
	struct cgroup_usage u;

	cgroup_usage_init(&u);
	usage_read_cgroup(&u);
	return u.peak_memory_bytes;
}

static json_t *usage_number(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

int usage_append(bool own_cgroup, struct buf *out)
{
	_cleanup_json_ json_t *o = NULL;
	struct cgroup_usage u;
	int64_t pids;
	int r;

	cgroup_usage_init(&u);
	r = tree_measure(&u);
	/* Processes: a cgroup counts threads, and the runner itself. */
	pids = u.pids;
	if (own_cgroup)
		usage_read_cgroup(&u);
	if (r < 0 && u.cpu_us < 0)
		return r;
	o = json_pack("{s:o,s:o,s:o}", "cpu_us", usage_number(u.cpu_us),
		      "memory_bytes", usage_number(u.memory_bytes), "pids",
		      usage_number(pids));
	return o ? json_append(out, o) : -ENOMEM;
}
