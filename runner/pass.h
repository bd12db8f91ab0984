/*
 * The script's output on our own stdout or stderr, whatever those are: nothing
 * is lost, and nothing waits in a write. What others share is not made
 * non-blocking.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/macro.h"

struct event;
struct event_base;

struct pass {
	int fd;
	struct buf waiting;
	struct event *writable;
	int error; /* negative errno: nobody reads it any more */
	void (*on_drain)(void *ctx);
	void *ctx;
};

/* on_drain: what waited was written, or cannot be (error). 0 or -ENOMEM. */
int pass_init(struct pass *p, struct event_base *base, int fd,
	      void (*on_drain)(void *ctx), void *ctx) MUST_CHECK;
void pass_deinit(struct pass *p);

/* Takes all of it; when pass_waits() is true afterwards the caller holds the
 * rest back until on_drain. 0 or negative errno. */
int pass_write(struct pass *p, const void *data, size_t len) MUST_CHECK;
bool pass_waits(const struct pass *p);
