#include "runner/parent.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runner/told.h"

static void parent_on_ended(int fd, short what, void *ctx)
{
	struct parent *p = ctx;

	p->on_ended(p->ctx);
}

int parent_init(struct parent *p, struct event_base *base,
		void (*on_ended)(void *ctx), void *ctx)
{
	pid_t pid = getppid();

	*p = (struct parent){ .fd = -1, .on_ended = on_ended, .ctx = ctx };
	if (pid <= 0 || told_ignores_hangup())
		return 0;
	/* Not PDEATHSIG, which asks for the thread that started us; but that
	 * where there is nothing better (before Linux 5.3). */
	p->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->fd < 0)
		return prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ? -errno : 0;
	p->ended = event_new(base, p->fd, EV_READ, parent_on_ended, p);
	return p->ended && !event_add(p->ended, NULL) ? 0 : -ENOMEM;
}

void parent_deinit(struct parent *p)
{
	if (p->ended)
		event_free(p->ended);
	closep(&p->fd);
	*p = PARENT_NONE;
}
