#include "runner/oom.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"

#define OOM_FILE_BYTES 1024

/* In a container these are its own cgroup's, v2 and v1. */
static const char *const oom_files[] = {
	"/sys/fs/cgroup/memory.events",
	"/sys/fs/cgroup/memory/memory.oom_control",
};

static uint64_t oom_parse(const char *text)
{
	static const char key[] = "oom_kill ";
	const char *line = text;

	while (line) {
		if (!strncmp(line, key, sizeof(key) - 1))
			return strtoull(line + sizeof(key) - 1, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

uint64_t oom_kills(void)
{
	char text[OOM_FILE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(oom_files); i++) {
		_cleanup_close_ int fd = open(oom_files[i],
					      O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

		if (n <= 0)
			continue;
		text[n] = '\0';
		return oom_parse(text);
	}
	return 0;
}
