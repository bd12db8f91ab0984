#include "runner/told.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/signalfd.h>

static void told_on_readable(int fd, short what, void *ctx)
{
	struct told *t = ctx;
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		t->on_told((int)info.ssi_signo, (pid_t)info.ssi_pid, t->ctx);
}

bool told_ignores_hangup(void)
{
	struct sigaction now;

	return !sigaction(SIGHUP, NULL, &now) && now.sa_handler == SIG_IGN;
}

int told_init(struct told *t, struct event_base *base,
	      void (*on_told)(int sig, pid_t sender, void *ctx), void *ctx)
{
	sigset_t told;

	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGINT);
	if (!told_ignores_hangup())
		sigaddset(&told, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &told, NULL) < 0)
		return -errno;
	*t = (struct told){ .fd = -1, .on_told = on_told, .ctx = ctx };
	t->fd = signalfd(-1, &told, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->fd < 0)
		return -errno;
	t->readable = event_new(base, t->fd, EV_READ | EV_PERSIST,
				told_on_readable, t);
	return t->readable && !event_add(t->readable, NULL) ? 0 : -ENOMEM;
}

void told_deinit(struct told *t)
{
	if (t->readable)
		event_free(t->readable);
	closep(&t->fd);
	*t = TOLD_NONE;
}
