#include "runner/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/macro.h"

/* Each level holds a descriptor; what lies deeper is moved up, for later. */
#define REMOVE_TREE_DEPTH_MAX 32
#define REMOVE_TREE_PASSES_MAX 100000

struct remove_tree {
	int top;            /* the directory that is removed */
	unsigned int moved; /* names that were made there so far */
	bool again;         /* something is left */
};

static int remove_tree_level(struct remove_tree *t, int fd, int depth);

/* A descriptor for reading, also where its owner took his own rights away. */
static int remove_tree_open(int dir_fd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags);

	if (fd < 0 && errno == EACCES && !fchmodat(dir_fd, name, 0700, 0))
		fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

static int remove_tree_move_up(struct remove_tree *t, int dir_fd,
			       const char *name)
{
	char moved[NAME_MAX];

	do {
		snprintf(moved, sizeof(moved), "moved-%u", t->moved++);
	} while (!faccessat(t->top, moved, F_OK, AT_SYMLINK_NOFOLLOW));
	t->again = true;
	/* Another parent is written into it: its owner must be allowed to.
	 * Whose it is not finds out below. */
	if (fchmodat(dir_fd, name, 0700, 0) < 0 && errno != EPERM)
		return -errno;
	return renameat(dir_fd, name, t->top, moved) < 0 ? -errno : 0;
}

static int remove_tree_dir(struct remove_tree *t, int dir_fd, const char *name,
			   int depth)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (depth == REMOVE_TREE_DEPTH_MAX)
		return remove_tree_move_up(t, dir_fd, name);
	fd = remove_tree_open(dir_fd, name);
	if (fd < 0)
		return fd;
	r = remove_tree_level(t, fd, depth + 1);
	if (r < 0)
		return r;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	/* Names may be passed over in a directory that changes. */
	t->again |= errno == ENOTEMPTY;
	return errno == ENOTEMPTY ? 0 : -errno;
}

static int remove_tree_entry(struct remove_tree *t, int dir_fd,
			     const char *name, int depth)
{
	int r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	r = errno == EISDIR || errno == EPERM
		    ? remove_tree_dir(t, dir_fd, name, depth)
		    : -errno;
	return r == -ENOENT ? 0 : r;
}

/* Everything in fd. */
static int remove_tree_level(struct remove_tree *t, int fd, int depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		r = -errno;
		closep(&copy);
		return r;
	}
	/* A directory without w or x lets nothing in it be removed. */
	(void)fchmod(fd, 0700);
	rewinddir(dir);
	while (!r && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = remove_tree_entry(t, fd, e->d_name, depth);
	}
	closedir(dir);
	return r;
}

int remove_tree(int dir_fd, const char *name)
{
	struct remove_tree t = { .again = true };
	_cleanup_close_ int top = remove_tree_open(dir_fd, name);
	int r = 0;

	if (top < 0)
		return top == -ENOENT ? 0 : top;
	t.top = top;
	for (int i = 0; !r && t.again && i < REMOVE_TREE_PASSES_MAX; i++) {
		t.again = false;
		r = remove_tree_level(&t, top, 0);
	}
	if (!r && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}
