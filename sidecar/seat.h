/*
 * The place of one execution: its control stream, what was assigned over it,
 * and its end. A pod's sidecar has one, a gateway one for each execution.
 *
 *   READY ──▶ ASSIGNED ──▶ DRAINING ──▶ GONE
 *     └───────────────────────▲
 *
 * READY:    the orchestrator was told so.
 * ASSIGNED: serves its execution, also while the control is away, where it is
 *           kept: that is keep_ms of ASSIGN, and somewhere to connect again.
 * DRAINING: no new requests; the writes under way are finished: the
 *           orchestrator said so, the control is lost, or the owner ends. It
 *           ends in bounded time, but for a kept one that the orchestrator
 *           drained: that one waits for DISMISS, or until it is lost.
 * GONE:     on_gone was called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "sidecar/rate.h"

struct event_base;
struct execution;
struct metrics;
struct seat;
struct sockaddr_un;

#define SEAT_DRAIN_MS 5000  /* writes under way */
#define SEAT_LINGER_MS 2000 /* until the orchestrator took DRAINED */

enum seat_state {
	SEAT_READY,
	SEAT_ASSIGNED,
	SEAT_DRAINING,
	SEAT_GONE,
};

struct seat_ops {
	void (*on_assigned)(struct seat *s, void *ctx);
	/* The control is lost, DRAINING began before; NULL: no matter. */
	void (*on_lost)(struct seat *s, void *ctx);
	/* Once, the last call. The seat is not to be freed from within. failed:
	 * it did not end as the orchestrator asked. */
	void (*on_gone)(struct seat *s, bool failed, void *ctx);
};

struct seat_config {
	struct event_base *base;
	const char *backend;             /* endpoint */
	const char *ready;               /* payload of READY */
	const struct sockaddr_un *again; /* as in control_new(); may be NULL */
	struct rate_limit rate_requests; /* of any kind; zeroes: no limit */
	const struct seat_ops *ops;
	void *ctx;
};

/* control as in control_new(). Calls back from the loop only. What config
 * points to must outlive the seat, but for ready. 0 or negative errno. */
int seat_new(struct seat **out, const struct seat_config *config,
	     const char *control) MUST_CHECK;
/* With a connected control stream; takes fd, also on error. */
int seat_new_fd(struct seat **out, const struct seat_config *config,
		int fd) MUST_CHECK;
/* Drops what is under way; no reply of its execution is open any more. */
void seat_free(struct seat *s);
DEFINE_CLEANUP(struct seat *, seat_free)

/* Begins to end in bounded time; why is for the log. */
void seat_drain(struct seat *s, const char *why);

enum seat_state seat_state(const struct seat *s);
const char *seat_state_name(enum seat_state state);
/* Whether it outlives its orchestrator. */
bool seat_is_kept(const struct seat *s);
/* NULL before the assignment. */
struct execution *seat_execution(const struct seat *s);
struct metrics *seat_metrics(struct seat *s);
