/*
 * Finding an orchestrator again whose stream has ended: its socket is tried
 * every AGAIN_RETRY_MS until somebody answers who takes us up, or until there
 * is no more time.
 *
 *   IDLE ──lost──▶ TRYING ──on_connected──▶ KNOCKING ──taken_up──▶ IDLE
 *                   ▲  │                      │  │
 *                   └──┼────── lost ──────────┘  │
 *                      └───────▶ OVER ◀──────────┘  keep_ms after the first
 *
 * Callbacks run from the loop, never from within a call made here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/macro.h"

#define AGAIN_RETRY_MS 100
/* The names of the sockets in a directory. */
#define AGAIN_CONTROL "control.sock"
#define AGAIN_DOOR "door.sock"

struct again;
struct event_base;

struct again_ops {
	/* fd is the receiver's, connected and non-blocking. Then it says
	 * again_taken_up() or again_lost(). */
	void (*on_connected)(int fd, void *ctx);
	/* Once; not where keep_ms is 0. */
	void (*on_over)(void *ctx);
};

struct again_config {
	struct event_base *base;
	const struct sockaddr_un *address; /* copied */
	bool packets;                      /* SOCK_SEQPACKET, not SOCK_STREAM */
	uint64_t keep_ms;                  /* 0: as long as it lives */
	const struct again_ops *ops;
	void *ctx;
};

/* "PATH", or "dir:N": the socket `name` in an inherited directory, which is
 * kept from who is exec'ed here. 0, -EBADF, or -ENAMETOOLONG. */
int again_address(struct sockaddr_un *out, const char *where,
		  const char *name) MUST_CHECK;

/* 0 or -ENOMEM. */
int again_new(struct again **out, const struct again_config *config) MUST_CHECK;
/* NULL is fine. */
void again_free(struct again *a);

/* The stream has ended, after nothing was heard for silent_ms. */
void again_lost(struct again *a, uint64_t silent_ms);
void again_taken_up(struct again *a);
