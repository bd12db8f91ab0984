#include "runner/permit_shares.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/path.h"

/* The innermost in which path lies, as text; NULL: none. */
static const json_t *share_find(const json_t *shares, const char *path)
{
	const json_t *share, *best = NULL;
	size_t i, n, best_n = 0;

	json_array_foreach(shares, i, share) {
		const char *dir = json_get_str(share, "path", "");

		n = strlen(dir);
		if (path_covers(dir, path) && n > best_n) {
			best = share;
			best_n = n;
		}
	}
	return best;
}

/* One component after the other, none of which is a link. Takes dir. */
static int share_walk(int dir, char *rest)
{
	char *save = NULL;
	struct stat st;

	for (char *name = strtok_r(rest, "/", &save); name && dir >= 0;
	     name = strtok_r(NULL, "/", &save)) {
		int next = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		int r = next < 0 ? -errno : next;

		close(dir);
		dir = r;
	}
	if (dir >= 0 && fstat(dir, &st) == 0 && S_ISLNK(st.st_mode)) {
		close(dir);
		return -ELOOP;
	}
	return dir;
}

int permit_share_open(const json_t *shares, const char *path, bool *write)
{
	const json_t *share = share_find(shares, path);
	char real[PATH_MAX], top[PATH_MAX];
	int dir;

	if (!share)
		return -EXDEV;
	*write = json_get_bool(share, "write", false);
	if (!realpath(json_get_str(share, "path", ""), top) ||
	    !realpath(path, real))
		return -errno;
	if (!path_covers(top, real))
		return -EXDEV;
	dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : share_walk(dir, real + strlen(top));
}
