#include "common/file_lock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>

#define FILE_LOCK_NUDGE_MS 100

/* Only there to make flock() return. */
static void file_lock_on_alarm(int sig)
{
}

static int file_lock_wait(int fd, uint32_t max_ms)
{
	/* Fires again and again: once could be before flock() is entered. */
	const struct itimerval timer = {
		.it_value = { max_ms / 1000, max_ms % 1000 * 1000 },
		.it_interval = { 0, FILE_LOCK_NUDGE_MS * 1000 },
	};
	const struct itimerval none = { 0 };
	const struct sigaction wake = { .sa_handler = file_lock_on_alarm };
	struct sigaction old;
	int r;

	sigaction(SIGALRM, &wake, &old);
	setitimer(ITIMER_REAL, &timer, NULL);
	r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &old, NULL);
	return r == -EINTR ? -EBUSY : r;
}

int file_lock(int fd, uint32_t max_ms)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	return max_ms ? file_lock_wait(fd, max_ms) : -EBUSY;
}
