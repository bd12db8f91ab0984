#include "orchestrator/cgroup_mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void cgroup_mount_close(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* True if the comma-separated list has the word. */
static bool cgroup_mount_lists(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, word, len) && (!at[len] || at[len] == ','))
			return true;
	}
	return false;
}

/* "ID PARENT DEV ROOT MOUNT OPTIONS… - TYPE SOURCE SUPER" */
static bool cgroup_mount_parse(char *line, const char *controller, char **mount)
{
	char *after = strstr(line, " - "), *save = NULL, *field = NULL;
	char type[16], super[256];

	if (!after || sscanf(after, " - %15s %*s %255s", type, super) != 2)
		return false;
	if (controller) {
		if (strcmp(type, "cgroup") ||
		    !cgroup_mount_lists(super, controller))
			return false;
	} else if (strcmp(type, "cgroup2")) {
		return false;
	}
	for (int i = 0; i < 5; i++)
		field = strtok_r(i ? NULL : line, " ", &save);
	*mount = field;
	return field != NULL;
}

static int cgroup_mount_point(const char *controller, char **out)
{
	_cleanup_(cgroup_mount_close)
		FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char *mount;

	while (f && getline(&line, &size, f) > 0) {
		if (!cgroup_mount_parse(line, controller, &mount))
			continue;
		*out = strdup(mount);
		return *out ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

/* "ID:CONTROLLERS:PATH"; the v2 hierarchy has no controllers. */
static int cgroup_mount_own(const char *controller, char **out)
{
	_cleanup_(cgroup_mount_close)
		FILE *f = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*list++ = *path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (controller ? !cgroup_mount_lists(list, controller) : *list)
			continue;
		*out = strdup(path);
		return *out ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

int cgroup_mount_find(const char *controller, char **mount, char **own)
{
	int r;

	*mount = *own = NULL;
	r = cgroup_mount_point(controller, mount);
	if (!r)
		r = cgroup_mount_own(controller, own);
	if (r < 0) {
		free(*mount);
		*mount = NULL;
	}
	return r;
}
