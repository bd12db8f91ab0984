/* RUN/up.sock: those who wait for the server, and hold an embedded one up. The
 * lines spoken are in local.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define UP_CLIENTS_MAX 1024
#define UP_ATTACHED_MAX 64 /* jobs of one client */

struct event_base;
struct up_clients;

struct up_clients_ops {
	/* A client went without detaching from this job. */
	void (*on_abandoned)(const char *job, void *ctx);
	/* The last one went. */
	void (*on_none)(void *ctx);
};

/* Takes listen_fd, also on error. */
int up_clients_new(struct up_clients **out, struct event_base *base,
		   int listen_fd, const struct up_clients_ops *ops,
		   void *ctx) MUST_CHECK;
void up_clients_free(struct up_clients *u);

size_t up_clients_count(const struct up_clients *u);
/* line: "ready" or "ready embedded"; told to all, and to those who come
 * later. A constant. */
void up_clients_ready(struct up_clients *u, const char *line);
void up_clients_failed(struct up_clients *u, const char *why);
/* Hangs up on all; who comes now has to look for another server. No callback
 * follows. */
void up_clients_stop(struct up_clients *u);
