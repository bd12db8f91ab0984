#include "common/sdk_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sdk_dir_find(const char *option, char out[PATH_MAX])
{
	static const char *const places[] = { "../share/cronium/sdk",
					      "../../sdk" };
	char dir[PATH_MAX], guess[PATH_MAX + 32];
	ssize_t n;

	if (option)
		return realpath(option, out) ? 0 : -errno;
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (n < 0)
		return -errno;
	dir[n] = '\0';
	if (strrchr(dir, '/'))
		*strrchr(dir, '/') = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(guess, sizeof(guess), "%s/%s", dir, places[i]);
		if (realpath(guess, out))
			return 0;
	}
	return -ENOENT;
}
