/*
 * Keeps a runner where no orchestrator made a place for it: gives it a work
 * dir, a process of its own, and a pod of namespaces unless the script may do
 * everything. The runner is spoken to over a control stream, as in any pod.
 *
 * Each looks after the other: when the runner dies the keeper kills what is
 * left and removes the work dir, when the keeper dies the runner does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/frame_stream.h"
#include "common/json.h"
#include "common/macro.h"

#define KEEPER_WHY_BYTES 480

struct event_base;
struct keeper;
struct runner_config;

/* Makes the work dir; sweeps those that nobody has any more. 0, or negative
 * errno with a sentence in err. */
int keeper_new(struct keeper **out, struct event_base *base,
	       const struct runner_config *config, char *err,
	       size_t err_size) MUST_CHECK;
/* Kills everything, waits for that, removes the work dir. */
void keeper_free(struct keeper *k);
DEFINE_CLEANUP(struct keeper *, keeper_free)

/* The script's work dir. */
const char *keeper_work_dir(const struct keeper *k);

/*
 * Starts the runner: in a pod unless assign's permissions are true all five,
 * with its doors. keep_net: the host's network stays (the script may use all of
 * it). The runner's READY comes first on the stream, which is the keeper's. 0,
 * or negative errno with a sentence in err that says what to do.
 */
int keeper_start(struct keeper *k, const json_t *assign, bool keep_net,
		 const struct frame_stream_ops *ops, void *ctx,
		 struct frame_stream **stream, char *err,
		 size_t err_size) MUST_CHECK;
