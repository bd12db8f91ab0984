/*
 * Noticing that the process that started us has ended, however. Not watched
 * where we are meant to go on: SIGHUP is ignored (nohup), or there is nobody.
 */
#pragma once

#include "common/macro.h"

struct event;
struct event_base;

struct parent {
	int fd; /* pidfd */
	struct event *ended;
	void (*on_ended)(void *ctx);
	void *ctx;
};
#define PARENT_NONE ((struct parent){ .fd = -1 })

/* on_ended once. 0 or negative errno. */
int parent_init(struct parent *p, struct event_base *base,
		void (*on_ended)(void *ctx), void *ctx) MUST_CHECK;
void parent_deinit(struct parent *p);
