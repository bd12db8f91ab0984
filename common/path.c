#include "common/path.h"

#include <string.h>

bool path_normal(const char *path, char *out)
{
	size_t len, n = 0;

	if (*path != '/')
		return false;
	for (const char *s = path; *s; s += len) {
		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (len == 2 && !strncmp(s, "..", 2)) {
			while (n > 0 && out[--n] != '/')
				;
			continue;
		}
		if (!len || (len == 1 && *s == '.'))
			continue;
		out[n++] = '/';
		memcpy(out + n, s, len);
		n += len;
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return true;
}

bool path_covers(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (!strcmp(dir, "/"))
		return *path == '/';
	return !strncmp(dir, path, n) && (!path[n] || path[n] == '/');
}
