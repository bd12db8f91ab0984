#include "orchestrator/process_id.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/macro.h"

#define PROCESS_STAT_BYTES 1024
#define PROCESS_STATUS_BYTES 4096
/* Fields, counted from the name's ')' on. */
#define PROCESS_STAT_PARENT 2
#define PROCESS_STAT_START 20

static ssize_t process_read(const char *path, char *out, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	out[MAX(n, 0)] = '\0';
	return n;
}

/* "PID (NAME) S PPID …": the field-th behind the name, which may have anything
 * in it. */
static uint64_t process_stat(const char *pid, int field)
{
	char path[64], stat[PROCESS_STAT_BYTES];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	if (process_read(path, stat, sizeof(stat)) <= 0)
		return 0;
	at = strrchr(stat, ')');
	for (int i = 0; at && i < field; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

uint64_t process_start_time(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return process_stat(text, PROCESS_STAT_START);
}

pid_t process_child(pid_t pid)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t child = 0;

	while (dir && !child && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    process_stat(entry->d_name, PROCESS_STAT_PARENT) ==
			    (uint64_t)pid)
			child = (pid_t)strtol(entry->d_name, NULL, 10);
	if (dir)
		closedir(dir);
	return child;
}

/* "NSpid:\t4711\t1": its number in each namespace, ours first. */
bool process_is_init(pid_t pid)
{
	char path[64], status[PROCESS_STATUS_BYTES], *line, *last;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (process_read(path, status, sizeof(status)) <= 0)
		return false;
	line = strstr(status, "\nNSpid:");
	if (!line)
		return false;
	line++;
	line[strcspn(line, "\n")] = '\0';
	last = strrchr(line, '\t');
	return last && !strcmp(last, "\t1");
}

void process_boot_id(char out[PROCESS_BOOT_ID_BYTES])
{
	(void)process_read("/proc/sys/kernel/random/boot_id", out,
			   PROCESS_BOOT_ID_BYTES);
	out[strcspn(out, "\n")] = '\0';
}
