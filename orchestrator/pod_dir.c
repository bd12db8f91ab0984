#include "orchestrator/pod_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/id.h"
#include "orchestrator/control_socket.h"
#include "orchestrator/executor.h"

int pod_dir_prepare(const char *run_dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/pods", run_dir);
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whatever the umask is, the pod's users are others. */
static int pod_dir_make_one(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return fchmodat(at, name, 0755, 0) < 0 ? -errno : 0;
}

int pod_dir_make(const char *run_dir, const char *pod)
{
	_cleanup_close_ int dir = -1;
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/pods/%s", run_dir, pod);
	r = pod_dir_make_one(AT_FDCWD, path);
	if (r < 0)
		return r;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = pod_dir_make_one(dir, "sidecar");
	return r ? r : pod_dir_make_one(dir, "runner");
}

void pod_dir_remove(const char *run_dir, const char *pod)
{
	static const char *const inner[] = {
		"sidecar/" CONTROL_SOCKET_NAME,
		"sidecar/" CONTROL_SOCKET_DOOR,
		"runner/" CONTROL_SOCKET_NAME,
		"sidecar",
		"runner",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
		snprintf(path, sizeof(path), "%s/pods/%s/%s", run_dir, pod,
			 inner[i]);
		remove(path);
	}
	snprintf(path, sizeof(path), "%s/pods/%s", run_dir, pod);
	rmdir(path);
}

void pod_dir_sweep(const char *run_dir, const struct executor_spare *spare)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/pods", run_dir);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (id_valid("pod", entry->d_name) &&
		    !executor_spares(spare, entry->d_name))
			pod_dir_remove(run_dir, entry->d_name);
	closedir(dir);
}
