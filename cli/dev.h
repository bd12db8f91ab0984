/*
 * One run of a script under `cronium dev`: a fake backend, the real sidecar,
 * the script.
 *
 *   STARTING ─▶ ASSIGNING ─▶ RUNNING ─▶ DRAINING ─▶ DONE
 *       └───────────┴────(no sidecar, a signal)──────▲
 *
 * STARTING: the sidecar is to say that it is ready. DRAINING: the script has
 * ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define DEV_START_MS 20000 /* until the sidecar has its assignment */
#define DEV_DRAIN_MS 8000  /* the sidecar's own limit is 5 s */
#define DEV_KILL_MS 5000   /* from SIGTERM to SIGKILL, after --timeout */
#define DEV_SIGNALS_MAX 3  /* this one kills */

struct dev_state;

struct dev_config {
	char *const *argv; /* the script */
	const char *sdk_dir;
	uint64_t timeout_ms; /* 0: none */
	bool stdout_is_ours; /* the script's goes to stderr */
};

struct dev_result {
	int exit_code;
	int signal; /* 0: none; then exit_code is 128 more */
	bool timed_out;
};

/* 0, or negative errno after a message: the script was not run, or not to its
 * end. */
int dev_run(const struct dev_config *config, struct dev_state *state,
	    struct dev_result *out) MUST_CHECK;
