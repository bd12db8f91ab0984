#include "common/again.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/options.h"
#include "common/unix_socket.h"

#define AGAIN_DIR_PREFIX "dir:"
#define AGAIN_PATH_BYTES 64

enum again_state { AGAIN_IDLE, AGAIN_TRYING, AGAIN_KNOCKING, AGAIN_OVER };

struct again {
	enum again_state state;
	struct again_config config;
	struct sockaddr_un address;
	struct event *retry, *over;
};

/* Through /proc: no path leads there from a pod, and the working directory
 * stays what it is. A process may always follow its own links. */
static int again_address_in(struct sockaddr_un *out, const char *number,
			    const char *name)
{
	char dir[AGAIN_PATH_BYTES];
	uint64_t fd;

	if (option_parse_uint(number, &fd) < 0 || fd > INT32_MAX ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EBADF;
	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", (int)fd);
	return unix_socket_address_in(out, dir, name);
}

int again_address(struct sockaddr_un *out, const char *where, const char *name)
{
	size_t n = strlen(AGAIN_DIR_PREFIX);

	if (!strncmp(where, AGAIN_DIR_PREFIX, n))
		return again_address_in(out, where + n, name);
	return unix_socket_address(out, where);
}

static void again_set_timer(struct event *timer, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	event_add(timer, &tv);
}

static void again_on_retry(int none, short what, void *ctx)
{
	struct again *a = ctx;
	int fd = a->config.packets
			 ? unix_socket_connect_packets(&a->address,
						       SOCK_NONBLOCK)
			 : unix_socket_connect(&a->address, SOCK_NONBLOCK);

	if (fd < 0) {
		again_set_timer(a->retry, AGAIN_RETRY_MS);
		return;
	}
	a->state = AGAIN_KNOCKING;
	a->config.ops->on_connected(fd, a->config.ctx);
}

static void again_on_over(int fd, short what, void *ctx)
{
	struct again *a = ctx;

	a->state = AGAIN_OVER;
	event_del(a->retry);
	a->config.ops->on_over(a->config.ctx);
}

int again_new(struct again **out, const struct again_config *config)
{
	struct again *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->config = *config;
	a->address = *config->address;
	a->retry = evtimer_new(config->base, again_on_retry, a);
	a->over = evtimer_new(config->base, again_on_over, a);
	if (!a->retry || !a->over) {
		again_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void again_free(struct again *a)
{
	if (!a)
		return;
	if (a->retry)
		event_free(a->retry);
	if (a->over)
		event_free(a->over);
	free(a);
}

/* Whoever fell silent has been gone for some time already. */
static void again_start_clock(struct again *a, uint64_t silent_ms)
{
	uint64_t keep_ms = a->config.keep_ms;

	if (keep_ms)
		again_set_timer(a->over, keep_ms - MIN(silent_ms, keep_ms));
}

void again_lost(struct again *a, uint64_t silent_ms)
{
	if (a->state == AGAIN_OVER)
		return;
	assert(a->state != AGAIN_TRYING);
	if (a->state == AGAIN_IDLE)
		again_start_clock(a, silent_ms);
	/* Who has just refused us is not asked at once. */
	again_set_timer(a->retry, a->state == AGAIN_IDLE ? 0 : AGAIN_RETRY_MS);
	a->state = AGAIN_TRYING;
}

void again_taken_up(struct again *a)
{
	assert(a->state == AGAIN_KNOCKING);
	a->state = AGAIN_IDLE;
	event_del(a->over);
}
