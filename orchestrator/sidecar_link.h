/*
 * The control stream of a pod's sidecar, as messages. Knows no order: that is
 * pod.c's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct assignment;
struct event_base;
struct sidecar_link;

struct sidecar_link_ops {
	/* resumed: the execution that it serves already, or NULL. */
	void (*on_ready)(void *ctx, const char *resumed);
	/* The assignment was taken. */
	void (*on_assigned)(void *ctx);
	/* A secret is about to be told to the script: it is, once
	 * sidecar_link_ack() says that it will be masked. */
	void (*on_secret)(void *ctx, uint32_t id, const void *value,
			  size_t len);
	void (*on_drained)(void *ctx);
	/* Once; reason is for a log. */
	void (*on_lost)(void *ctx, const char *reason);
};

/* Takes fd, also on error. 0 or negative errno. */
int sidecar_link_new(struct sidecar_link **out, struct event_base *base, int fd,
		     const struct sidecar_link_ops *ops, void *ctx) MUST_CHECK;
/* NULL is fine. Fine inside its callbacks. */
void sidecar_link_free(struct sidecar_link *l);

/* 0 or -ENOMEM; a broken stream is reported by on_lost alone. */
int sidecar_link_assign(struct sidecar_link *l, const struct assignment *a,
			const char *executor) MUST_CHECK;
/* To one that is taken up: its secrets follow, then on_assigned. */
int sidecar_link_take_up(struct sidecar_link *l,
			 const struct assignment *a) MUST_CHECK;
/* It may go. */
void sidecar_link_dismiss(struct sidecar_link *l);
int sidecar_link_ack(struct sidecar_link *l, uint32_t id) MUST_CHECK;
int sidecar_link_drain(struct sidecar_link *l) MUST_CHECK;
