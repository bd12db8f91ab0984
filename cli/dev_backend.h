/*
 * The runtime part of a backend (ARCHITECTURE.md: for sidecars), on a unix
 * socket, from memory. One execution, one token.
 */
#pragma once

#include "common/macro.h"

struct dev_backend;
struct dev_state;
struct event_base;

/* All of it outlives the backend; token: the only one that it knows. 0 or
 * negative errno. */
int dev_backend_new(struct dev_backend **out, struct event_base *base,
		    const char *path, const char *token,
		    struct dev_state *state) MUST_CHECK;
/* Open streams break off. */
void dev_backend_free(struct dev_backend *b);
DEFINE_CLEANUP(struct dev_backend *, dev_backend_free)
