#include "orchestrator/cgroup_hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/id.h"

#define CGROUP_HOLD_TRIES 10

bool cgroup_make_dir(const char *path)
{
	return (mkdir(path, 0755) == 0 || errno == EEXIST) &&
	       access(path, W_OK) == 0;
}

/* One that nobody holds, and that has no process in it. */
static void cgroup_tidy_instance(int parent, const char *name)
{
	_cleanup_close_ int fd = openat(parent, name,
					O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void cgroup_tidy(const char *parent, const char *instance)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && id_valid("in", entry->d_name) &&
		    strcmp(entry->d_name, instance) != 0)
			cgroup_tidy_instance(dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}

int cgroup_hold(const char *path)
{
	for (int i = 0; i < CGROUP_HOLD_TRIES; i++) {
		struct stat named, held;
		int fd;

		if (!cgroup_make_dir(path))
			return -EACCES;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		(void)flock(fd, LOCK_EX);
		if (!stat(path, &named) && !fstat(fd, &held) &&
		    named.st_ino == held.st_ino)
			return fd;
		close(fd);
	}
	return -EBUSY;
}
