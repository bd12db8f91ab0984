#include "common/cgroup_usage.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_USAGE_FILE_BYTES 1024 /* cpu.stat has some ten short lines */

/* Files that hold one number: v2's name, then v1's. */
static const struct {
	const char *file;
	size_t field;
	int64_t divisor;
} cgroup_usage_files[] = {
	{ "memory.current", offsetof(struct cgroup_usage, memory_bytes), 1 },
	{ "memory.usage_in_bytes", offsetof(struct cgroup_usage, memory_bytes),
	  1 },
	/* Since Linux 5.19. */
	{ "memory.peak", offsetof(struct cgroup_usage, peak_memory_bytes), 1 },
	{ "memory.max_usage_in_bytes",
	  offsetof(struct cgroup_usage, peak_memory_bytes), 1 },
	{ "pids.current", offsetof(struct cgroup_usage, pids), 1 },
	{ "cpuacct.usage", offsetof(struct cgroup_usage, cpu_us), 1000 },
};

void cgroup_usage_init(struct cgroup_usage *u)
{
	*u = (struct cgroup_usage){
		.user_us = CGROUP_USAGE_UNKNOWN,
		.system_us = CGROUP_USAGE_UNKNOWN,
		.cpu_us = CGROUP_USAGE_UNKNOWN,
		.memory_bytes = CGROUP_USAGE_UNKNOWN,
		.peak_memory_bytes = CGROUP_USAGE_UNKNOWN,
		.pids = CGROUP_USAGE_UNKNOWN,
	};
}

/* False where it cannot be read. */
static bool cgroup_usage_read_file(int dir, const char *file,
				   char text[CGROUP_USAGE_FILE_BYTES])
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, CGROUP_USAGE_FILE_BYTES - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

int64_t cgroup_usage_parse_number(const char *text)
{
	char *end;
	long long n;

	if (!isdigit((unsigned char)*text))
		return CGROUP_USAGE_UNKNOWN;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || (*end && *end != '\n' && *end != ' '))
		return CGROUP_USAGE_UNKNOWN;
	return n;
}

/* "name N" on a line of its own. */
static void cgroup_usage_get(const char *text, const char *name, int64_t *out)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		int64_t n;

		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ' ')
			continue;
		n = cgroup_usage_parse_number(line + len + 1);
		if (n >= 0)
			*out = n;
		return;
	}
}

void cgroup_usage_parse_cpu_stat(const char *text, struct cgroup_usage *u)
{
	/* v1 has a file of this name, too, which is about throttling. */
	cgroup_usage_get(text, "usage_usec", &u->cpu_us);
	cgroup_usage_get(text, "user_usec", &u->user_us);
	cgroup_usage_get(text, "system_usec", &u->system_us);
}

void cgroup_usage_read(int dir, struct cgroup_usage *u)
{
	char text[CGROUP_USAGE_FILE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(cgroup_usage_files); i++) {
		int64_t n;

		if (!cgroup_usage_read_file(dir, cgroup_usage_files[i].file,
					    text))
			continue;
		n = cgroup_usage_parse_number(text);
		if (n >= 0)
			*(int64_t *)(void *)((char *)u +
					     cgroup_usage_files[i].field) =
				n / cgroup_usage_files[i].divisor;
	}
	if (cgroup_usage_read_file(dir, "cpu.stat", text))
		cgroup_usage_parse_cpu_stat(text, u);
}
