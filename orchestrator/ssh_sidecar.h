/*
 * Who answers the script of a job on a host: a sidecar of its own beside the
 * orchestrator that listens nowhere, or a seat of the gateway; and the door
 * through which connections of the script are handed to it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct ssh_pod_shared;
struct ssh_sidecar;

struct ssh_sidecar_spec {
	const struct ssh_pod_shared *shared;
	const char *execution;
	bool gateway; /* a seat of the gateway's */
	bool door;    /* there will be connections to hand over */
};

/* on_ended: once, when the process dies by itself. 0, or negative errno with a
 * sentence in err. */
int ssh_sidecar_new(struct ssh_sidecar **out,
		    const struct ssh_sidecar_spec *spec,
		    void (*on_ended)(void *ctx, const char *reason), void *ctx,
		    char *err, size_t err_size) MUST_CHECK;
/* Kills it and waits for its death. NULL is fine. */
void ssh_sidecar_free(struct ssh_sidecar *s);

/* Our ends, the receiver's; once. The door: -1 for none. */
int ssh_sidecar_take_control(struct ssh_sidecar *s);
int ssh_sidecar_take_door(struct ssh_sidecar *s);

/* what: "api" or "proxy". fd is taken over; closed where the sidecar does not
 * take it. */
void ssh_sidecar_serve(struct ssh_sidecar *s, const char *what, int fd);
