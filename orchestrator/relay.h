/*
 * RUN/runtime/backend.sock where the backend is on another machine: whatever a
 * sidecar says on it is passed on, byte by byte, over one connection of its
 * own to the backend. Nothing is added: sidecars bring their own tokens.
 */
#pragma once

#include "common/macro.h"

struct event_base;
struct relay;

/* More connections than this wait to be accepted. */
#define RELAY_CONNECTIONS_MAX 1024
/* Of each direction of a connection; beyond it nothing more is read. */
#define RELAY_BUFFER_BYTES (64 * 1024)
#define RELAY_PAUSE_MS 100

/*
 * Listens on path (mode 0666; an old socket there is replaced). endpoint is
 * the backend's ("http://…", "https://…"), ca_file as for the client. 0,
 * -EINVAL for a bad endpoint or CA file, or negative errno.
 */
int relay_new(struct relay **out, struct event_base *base, const char *path,
	      const char *endpoint, const char *ca_file) MUST_CHECK;
/* Removes the socket. NULL is fine. */
void relay_free(struct relay *r);
