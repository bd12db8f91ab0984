#include "common/path.h"

#include <string.h>

static bool path_is_parent(const char *component, size_t len)
{
	return len == 2 && !strncmp(component, "..", 2);
}

bool path_climbs(const char *path)
{
	size_t len;

	for (const char *s = path; *s; s += len) {
		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (path_is_parent(s, len))
			return true;
	}
	return false;
}

bool path_normal(const char *path, char *out)
{
	size_t len, n = 0;

	if (*path != '/')
		return false;
	for (const char *s = path; *s; s += len) {
		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (path_is_parent(s, len)) {
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
