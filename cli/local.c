#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cli/output.h"
#include "cli/place.h"
#include "common/clock.h"
#include "common/unix_socket.h"

#define LOCAL_SOCKET "up.sock" /* in the run directory */
#define LOCAL_LINE_MAX_BYTES 1024
#define LOCAL_LOG_MAX_BYTES (4 * 1024 * 1024) /* then it is started anew */
#define LOCAL_LOG_TAIL_BYTES 8192
#define LOCAL_LOCK_TIMEOUT_S 30
#define LOCAL_LISTEN_FD 3 /* in the embedded server */

/* --- its log ------------------------------------------------------------- */

/* The text of msg="…" in a line of the log, unquoted in place. */
static char *local_message(char *line)
{
	char *in = strstr(line, " msg=\""), *out, *start;

	if (!in)
		return NULL;
	start = out = in += 6;
	while (*in && *in != '"') {
		if (*in == '\\' && in[1])
			in++;
		*out++ = *in++;
	}
	*out = '\0';
	return strdup(start);
}

char *local_last_error(const struct place *p)
{
	char path[PATH_MAX + 32], tail[LOCAL_LOG_TAIL_BYTES + 1], *found = NULL;
	bool found_ours = false;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/log/embedded.log", p->data);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	lseek(fd, -(off_t)MIN(lseek(fd, 0, SEEK_END), LOCAL_LOG_TAIL_BYTES),
	      SEEK_END);
	n = read(fd, tail, LOCAL_LOG_TAIL_BYTES);
	tail[MAX(n, 0)] = '\0';
	for (char *save, *line = strtok_r(tail, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		bool ours = strstr(line, " prog=up ");
		char *message;

		/* What a child says is nearer to the cause. */
		if (!strstr(line, " level=error ") ||
		    (found && ours && !found_ours))
			continue;
		message = local_message(line);
		if (!message)
			continue;
		free(found);
		found = message;
		found_ours = ours;
	}
	return found;
}

/* --- RUN/up.sock --------------------------------------------------------- */

int local_listen(const struct place *p)
{
	struct sockaddr_un addr;
	mode_t before;
	int fd, r = unix_socket_address_in(&addr, p->run, LOCAL_SOCKET);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(addr.sun_path);
	before = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(before);
	if (r < 0 || listen(fd, 128) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int local_connect(const struct place *p, int *out)
{
	struct sockaddr_un addr;
	int fd, r = unix_socket_address_in(&addr, p->run, LOCAL_SOCKET);

	if (r < 0)
		return r;
	fd = unix_socket_connect(&addr, 0);
	if (fd < 0)
		return fd == -EACCES ? fd : LOCAL_E_NONE;
	*out = fd;
	return 0;
}

/* One line, byte by byte: nothing beyond it is taken. 0, LOCAL_E_GONE or
 * negative errno. */
static int local_read_line(int fd, char *line, size_t size, uint64_t until_ms)
{
	size_t n = 0;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono_ms();
		ssize_t got;

		if (now >= until_ms)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)MIN(until_ms - now, 1000)) < 0 &&
		    errno != EINTR)
			return -errno;
		output_status_tick();
		if (!pfd.revents)
			continue;
		got = read(fd, line + n, 1);
		if (got <= 0)
			return LOCAL_E_GONE;
		if (line[n] == '\n')
			break;
		n += n + 1 < size;
	}
	line[n] = '\0';
	return 0;
}

static void local_explain(const struct place *p, const char *line)
{
	_cleanup_free_ char *why = local_last_error(p);

	output_error("the local server could not start: %s", why ? why : line);
}

static int local_wait_ready(const struct place *p, int fd, bool *embedded)
{
	uint64_t until_ms = clock_mono_ms() + LOCAL_START_TIMEOUT_MS;
	char line[LOCAL_LINE_MAX_BYTES];
	int r;

	output_status("starting the local server");
	while (!(r = local_read_line(fd, line, sizeof(line), until_ms))) {
		*embedded = !strcmp(line, "ready embedded");
		if (*embedded || !strcmp(line, "ready"))
			break;
		if (!strncmp(line, "failed ", 7)) {
			local_explain(p, line + 7);
			r = LOCAL_E_FAILED;
			break;
		}
	}
	output_status_clear();
	return r;
}

/* Takes fd, also on failure. */
static int local_hold_init(struct local_hold *out, const struct place *p,
			   int fd)
{
	bool embedded = false;
	int r = local_wait_ready(p, fd, &embedded);

	if (r)
		close(fd);
	else
		*out = (struct local_hold){ .fd = fd, .embedded = embedded };
	return r;
}

int local_join(const struct place *p, struct local_hold *out)
{
	int fd = -1, r = local_connect(p, &fd);

	return r ? r : local_hold_init(out, p, fd);
}

/* --- who is the server ---------------------------------------------------- */

static void local_on_alarm(int number)
{
	/* Only interrupts fcntl(). */
}

static int local_open_lock(const struct place *p)
{
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/up.lock", p->run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int local_lock_up(const struct place *p, bool wait)
{
	const struct sigaction sa = { .sa_handler = local_on_alarm };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = local_open_lock(p), r;

	if (fd < 0)
		return fd;
	sigaction(SIGALRM, &sa, NULL);
	alarm(wait ? LOCAL_LOCK_TIMEOUT_S : 0);
	r = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0 ? -errno
								    : fd;
	alarm(0);
	if (r < 0)
		close(fd);
	return r;
}

bool local_up_lives(const struct place *p)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = local_open_lock(p);

	return fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) &&
	       lock.l_type != F_UNLCK;
}

/* --- starting one -------------------------------------------------------- */

static int local_open_log(const struct place *p)
{
	char path[PATH_MAX + 32], old[PATH_MAX + 40];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/log/embedded.log", p->data);
	if (!stat(path, &st) && st.st_size > LOCAL_LOG_MAX_BYTES) {
		snprintf(old, sizeof(old), "%s.1", path);
		rename(path, old);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		output_error("cannot write %s: %s", path, strerror(errno));
	return fd < 0 ? -errno : fd;
}

static void local_exec(const struct place *p, int listen_fd, int log_fd)
{
	sigset_t none;
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* Out of the way of the numbers that are about to be set. */
	listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 10);
	log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 10);
	if (dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 ||
	    dup2(listen_fd, LOCAL_LISTEN_FD) < 0 || chdir("/") < 0)
		_exit(126);
	close_range(LOCAL_LISTEN_FD + 1, ~0U, 0);
	unsetenv("CRONIUM_URL");
	execl("/proc/self/exe", "cronium", "up", "--embedded", "--data-dir",
	      p->data, "--run-dir", p->run, NULL);
	_exit(127);
}

static int local_spawn(const struct place *p, int *fd)
{
	_cleanup_close_ int listen_fd = -1;
	_cleanup_close_ int log_fd = -1;
	pid_t pid;

	listen_fd = local_listen(p);
	if (listen_fd < 0) {
		output_error("cannot listen in %s: %s", p->run,
			     strerror(-listen_fd));
		return listen_fd;
	}
	log_fd = local_open_log(p);
	if (log_fd < 0)
		return log_fd;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		local_exec(p, listen_fd, log_fd);
	return local_connect(p, fd);
}

static int local_lock(const struct place *p)
{
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/start.lock", p->run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		int r = -errno;

		output_error("cannot lock %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

int local_start(const struct place *p, struct local_hold *out)
{
	bool spawned = false;
	int lock_fd, fd = -1, r = place_make(p);

	if (r < 0)
		return r;
	lock_fd = local_lock(p);
	if (lock_fd < 0)
		return lock_fd;
	r = local_connect(p, &fd);
	if (r == LOCAL_E_NONE) {
		spawned = true;
		r = local_spawn(p, &fd);
	}
	close(lock_fd);
	if (r)
		return r;
	r = local_hold_init(out, p, fd);
	if (r == LOCAL_E_GONE && spawned) {
		_cleanup_free_ char *why = local_last_error(p);

		output_error("the local server ended while it started: %s",
			     why ? why : "it left no message");
		return LOCAL_E_FAILED;
	}
	return r;
}
