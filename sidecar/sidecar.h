/*
 * The sidecar of one pod: the only door out for its script.
 *
 *   CREATED ──▶ READY ──▶ ASSIGNED ──▶ DRAINING ──▶ GONE
 *      │          └────────────────────────▲         ▲
 *      └─────────────────────────────────────────────┘
 *
 * CREATED:  not listening yet.
 * READY:    listens, and says so to the orchestrator; requests wait.
 * ASSIGNED: serves one execution.
 * DRAINING: refuses new requests and finishes the writes under way: the
 *           orchestrator said so, its control stream is lost, or a signal
 *           came. A sidecar never keeps a job alive: it ends in bounded time.
 * GONE:     the loop ends.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"
#include "sidecar/metrics.h"

struct execution;
struct sidecar;
struct sidecar_options;

#define SIDECAR_DRAIN_MS 5000  /* writes under way */
#define SIDECAR_LINGER_MS 2000 /* until the orchestrator took DRAINED */

enum sidecar_state {
	SIDECAR_CREATED,
	SIDECAR_READY,
	SIDECAR_ASSIGNED,
	SIDECAR_DRAINING,
	SIDECAR_GONE,
};

/* options must outlive the sidecar. 0, or negative errno with a sentence for
 * the user in err. */
int sidecar_new(struct sidecar **out, const struct sidecar_options *options,
		char *err, size_t err_size) MUST_CHECK;
/* Serves until it is GONE; the exit code of the program. */
int sidecar_run(struct sidecar *s);
void sidecar_free(struct sidecar *s);
DEFINE_CLEANUP(struct sidecar *, sidecar_free)

/* For the health handlers. */
enum sidecar_state sidecar_state(const struct sidecar *s);
const char *sidecar_state_name(enum sidecar_state state);
/* NULL before the assignment. */
const struct execution *sidecar_execution(const struct sidecar *s);
uint32_t sidecar_connections(const struct sidecar *s);
