#include "runner/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/buf.h"
#include "common/clock.h"

#define LOOKUP_ANSWER_MAX_BYTES (16 * 1024)
#define LOOKUP_READ_BYTES 1024

static pid_t lookup_start(const char *name, int *answer)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (dup2(fds[1], STDOUT_FILENO) < 0)
			_exit(127);
		execlp("getent", "getent", "ahosts", name, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0) {
		pid = -errno;
		close(fds[0]);
		return pid;
	}
	*answer = fds[0];
	return pid;
}

/* Until it ends. */
static int lookup_read(int fd, struct buf *out)
{
	uint64_t deadline = clock_mono_ms() + LOOKUP_MAX_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		uint64_t now = clock_mono_ms();
		int r = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;

		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		if (out->len > LOOKUP_ANSWER_MAX_BYTES)
			return -EFBIG;
		if (buf_reserve(out, LOOKUP_READ_BYTES) < 0)
			return -ENOMEM;
		n = read(fd, out->data + out->len, LOOKUP_READ_BYTES);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
}

static bool lookup_has(char (*list)[LOOKUP_ADDRESS_BYTES], size_t n,
		       const char *address)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(list[i], address))
			return true;
	}
	return false;
}

/* Lines of ADDRESS TYPE NAME, one for each type of socket. */
static void lookup_parse(char *text, char (*out)[LOOKUP_ADDRESS_BYTES],
			 size_t max, size_t *n)
{
	char *line, *rest = text;

	while (*n < max && (line = strsep(&rest, "\n"))) {
		line[strcspn(line, " \t")] = '\0';
		if (!*line || strlen(line) >= LOOKUP_ADDRESS_BYTES ||
		    lookup_has(out, *n, line))
			continue;
		strcpy(out[(*n)++], line);
	}
}

int lookup(const char *name, char (*out)[LOOKUP_ADDRESS_BYTES], size_t max,
	   size_t *n)
{
	struct buf text = { 0 };
	int fd = -1, r;
	pid_t pid = lookup_start(name, &fd);

	*n = 0;
	if (pid < 0)
		return pid;
	r = lookup_read(fd, &text);
	close(fd);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!r && !buf_cstr(&text))
		r = -ENOMEM;
	if (!r)
		lookup_parse((char *)text.data, out, max, n);
	buf_deinit(&text);
	return r;
}
