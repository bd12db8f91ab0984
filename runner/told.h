/* Being told to stop: SIGTERM, SIGINT and, where nobody ignores it, SIGHUP. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/macro.h"

struct event;
struct event_base;

struct told {
	int fd;
	struct event *readable;
	void (*on_told)(int sig, pid_t sender, void *ctx);
	void *ctx;
};
#define TOLD_NONE ((struct told){ .fd = -1 })

/* Whether we are meant to go on without who started us, as nohup(1) has it. */
bool told_ignores_hangup(void);
/* sender: 0 from outside of our PID namespace. Blocks the signals for the whole
 * process. 0 or negative errno. */
int told_init(struct told *t, struct event_base *base,
	      void (*on_told)(int sig, pid_t sender, void *ctx),
	      void *ctx) MUST_CHECK;
void told_deinit(struct told *t);
