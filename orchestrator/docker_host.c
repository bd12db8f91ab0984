#include "orchestrator/docker_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

#define DOCKER_ID_CHARS 64

/* /proc/self/mountinfo names .../containers/ID/hostname and friends. */
int docker_host_container_id(char out[65])
{
	static const char mark[] = "/containers/";
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && getline(&line, &cap, f) > 0) {
		const char *id = strstr(line, mark);

		if (!id)
			continue;
		id += strlen(mark);
		if (strspn(id, "0123456789abcdef") != DOCKER_ID_CHARS)
			continue;
		snprintf(out, DOCKER_ID_CHARS + 1, "%s", id);
		r = 0;
	}
	fclose(f);
	return r;
}

/* Length of dir when path is dir or lies below it, else 0. */
static size_t docker_host_covers(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (strncmp(dir, path, n) != 0 || (path[n] && path[n] != '/'))
		return 0;
	return n;
}

int docker_host_path(const char *inspect_json, const char *path, char **out)
{
	_cleanup_json_ json_t *o = NULL;
	const json_t *mount, *best = NULL;
	size_t i, n, best_n = 0;
	char err[64];

	o = json_parse_object(inspect_json, strlen(inspect_json), err,
			      sizeof(err));
	json_array_foreach(json_object_get(o, "Mounts"), i, mount) {
		n = docker_host_covers(json_get_str(mount, "Destination", "?"),
				       path);
		if (n > best_n) {
			best = mount;
			best_n = n;
		}
	}
	if (!best)
		return -ENOENT;
	if (asprintf(out, "%s%s", json_get_str(best, "Source", ""),
		     path + best_n) < 0)
		return -ENOMEM;
	return 0;
}
