/*
 * The real sidecar, started by `cronium dev`, which is its orchestrator: one
 * control stream over a socket pair (ARCHITECTURE.md: the order of an
 * assignment).
 *
 *   start ──on_ready──▶ assign ──on_assigned──▶ … drain ──on_drained──▶ free
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

struct dev_sidecar;
struct event_base;

/* Never called from within a call made here. */
struct dev_sidecar_ops {
	/* url: where it listens. */
	void (*on_ready)(const char *url, void *ctx);
	void (*on_assigned)(void *ctx);
	/* Returns 0 once the secret is not shown any more; else the script does
	 * not get it. */
	int (*on_secret)(const void *value, size_t len, void *ctx);
	void (*on_drained)(void *ctx);
	void (*on_lost)(const char *reason, void *ctx);
};

/* 0 or negative errno. */
int dev_sidecar_start(struct dev_sidecar **out, struct event_base *base,
		      const char *program, const char *backend_socket,
		      const struct dev_sidecar_ops *ops, void *ctx) MUST_CHECK;
int dev_sidecar_assign(struct dev_sidecar *s, const void *assign,
		       size_t assign_len, const void *input,
		       size_t input_len) MUST_CHECK;
int dev_sidecar_drain(struct dev_sidecar *s) MUST_CHECK;
pid_t dev_sidecar_pid(const struct dev_sidecar *s); /* 0: reaped */
void dev_sidecar_reaped(struct dev_sidecar *s);
/* Kills it where it still runs. */
void dev_sidecar_free(struct dev_sidecar *s);
