#include "common/proc_stat.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROC_STAT_BYTES 1024
#define PROC_STAT_PATH_BYTES 64

/* Counted from the state on, which is the third. */
enum {
	PROC_STAT_PARENT = 1,
	PROC_STAT_UTIME = 11,
	PROC_STAT_STIME = 12,
	PROC_STAT_START = 19,
	PROC_STAT_RSS = 21,
	PROC_STAT_FIELDS,
};

/* A process may call itself anything, ") Z 1" for one. */
static void proc_stat_copy_name(char out[PROC_STAT_NAME_BYTES],
				const char *name, size_t len)
{
	len = MIN(len, PROC_STAT_NAME_BYTES - 1);
	for (size_t i = 0; i < len; i++)
		out[i] = isascii(name[i]) && isprint((unsigned char)name[i])
				 ? name[i]
				 : '?';
	out[len] = '\0';
}

static int proc_stat_take(const char **at, uint64_t *out)
{
	char *end;

	*at += strspn(*at, " ");
	/* Some are negative; none that is asked for. */
	*at += **at == '-';
	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	errno = 0;
	*out = strtoull(*at, &end, 10);
	*at = end;
	return errno ? -EINVAL : 0;
}

int proc_stat_parse(const char *text, struct proc_stat *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	uint64_t fields[PROC_STAT_FIELDS] = { 0 };
	const char *at = text;

	if (!open || !close || close < open || close[1] != ' ' ||
	    !isalpha((unsigned char)close[2]) ||
	    proc_stat_take(&at, &fields[0]) < 0)
		return -EINVAL;
	at = close + 3;
	for (size_t i = 1; i < PROC_STAT_FIELDS; i++)
		if (proc_stat_take(&at, &fields[i]) < 0)
			return -EINVAL;
	if (fields[0] > INT32_MAX || fields[PROC_STAT_PARENT] > INT32_MAX)
		return -EINVAL;
	*out = (struct proc_stat){
		.pid = (int)fields[0],
		.parent = (int)fields[PROC_STAT_PARENT],
		.state = close[2],
		.ticks = fields[PROC_STAT_UTIME] + fields[PROC_STAT_STIME],
		.start_ticks = fields[PROC_STAT_START],
		.rss_pages = fields[PROC_STAT_RSS],
	};
	proc_stat_copy_name(out->name, open + 1, (size_t)(close - open - 1));
	return 0;
}

int proc_stat_read(int proc, const char *pid, struct proc_stat *out)
{
	char path[PROC_STAT_PATH_BYTES], text[PROC_STAT_BYTES];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/stat", pid) >= (int)sizeof(path))
		return -EINVAL;
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return proc_stat_parse(text, out);
}
