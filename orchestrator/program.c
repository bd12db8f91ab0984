#include "orchestrator/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_PATH "/usr/local/bin:/usr/bin:/bin"

static bool program_is(const char *file, char out[PATH_MAX])
{
	struct stat st;

	return access(file, X_OK) == 0 && stat(file, &st) == 0 &&
	       S_ISREG(st.st_mode) && realpath(file, out);
}

int program_find(const char *name, char out[PATH_MAX])
{
	const char *path = getenv("PATH") ?: PROGRAM_PATH;
	char file[PATH_MAX];

	for (; *path; path += strspn(path, ":")) {
		size_t len = strcspn(path, ":");
		int n = snprintf(file, sizeof(file), "%.*s/%s", (int)len, path,
				 name);

		if (n > 0 && (size_t)n < sizeof(file) && program_is(file, out))
			return 0;
		path += len;
	}
	return -ENOENT;
}
