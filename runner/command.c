#include "runner/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int command_check(const char *file)
{
	struct stat st;

	/* A directory that may not be entered has nothing for us. */
	if (stat(file, &st) < 0)
		return -ENOENT;
	if (!S_ISREG(st.st_mode) || access(file, X_OK) < 0)
		return -EACCES;
	return 0;
}

int command_find(const char *name, const char *path, char out[static PATH_MAX])
{
	int found = -ENOENT;

	if (strchr(name, '/')) {
		if (snprintf(out, PATH_MAX, "%s", name) >= PATH_MAX)
			return -ENOENT;
		return command_check(out);
	}
	for (; path && *path; path += strspn(path, ":")) {
		size_t len = strcspn(path, ":");
		int n = snprintf(out, PATH_MAX, "%.*s/%s", (int)len, path,
				 name);
		int r = n < PATH_MAX ? command_check(out) : -ENOENT;

		if (!r)
			return 0;
		if (r == -EACCES)
			found = r;
		path += len;
	}
	return found;
}
