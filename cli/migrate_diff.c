#include "cli/migrate_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"

#define DIFF_DIFFERENT 1 /* its exit code */

/* A file of the text that is nowhere. */
static int text_file(const struct buf *text)
{
	int fd = memfd_create("migrated", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, text->data, text->len);
	if (!r && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (!r)
		return fd;
	close(fd);
	return r;
}

static void diff_exec(const char *file, int text_fd)
{
	char *old = NULL, *new = NULL, *path = NULL;

	/* A name that begins with a dash is no option. */
	if (asprintf(&old, "--label=a/%s", file) < 0 ||
	    asprintf(&new, "--label=b/%s", file) < 0 ||
	    asprintf(&path, "%s%s", *file == '/' ? "" : "./", file) < 0 ||
	    dup2(text_fd, STDIN_FILENO) < 0)
		_exit(126);
	execlp("diff", "diff", "-u", old, new, path, "-", (char *)NULL);
	_exit(127);
}

int migrate_diff_print(const char *file, const struct buf *text)
{
	_cleanup_close_ int fd = text_file(text);
	int status;
	pid_t pid;

	if (fd < 0)
		return fd;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		diff_exec(file, fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= DIFF_DIFFERENT)
		return 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : -EIO;
}
