/*
 * The orchestrators that are connected: each holds one claim stream, over
 * which claims and cancellations are pushed. What was claimed outlives the
 * stream; see live.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "backend/agent_status.h"
#include "backend/executor_list.h"
#include "common/agent_labels.h"
#include "common/agent_name.h"
#include "common/buf.h"
#include "common/frame.h"
#include "common/macro.h"

#define AGENT_SLOTS_MAX 4096

struct api_call;
struct live_execution;

struct agent {
	char name[AGENT_NAME_MAX_BYTES + 1];
	char executors[EXECUTOR_LIST_MAX_BYTES];
	char able[EXECUTOR_LIST_MAX_BYTES]; /* without those … */
	char away[EXECUTOR_LIST_MAX_BYTES]; /* … that can start nothing */
	char address[64];
	char labels[AGENT_LABELS_MAX_BYTES]; /* normal form */
	int64_t connected_ms, heard_ms;      /* wall clock */
	size_t slots;
	struct api_call *call; /* the claim stream */
	size_t pending;        /* claims under way in the store */
	uint64_t dry; /* nothing to claim as of this turn of the queue */
	size_t burst; /* claims at once: more as long as they find something */
	uint64_t served; /* when it was given a claim last: queue.c counts */
	bool drained;    /* takes no more jobs: somebody said so … */
	bool refusing;   /* … or it said so itself */
	/* Why: of that, or of what is away. */
	char problem[AGENT_STATUS_PROBLEM_MAX_BYTES + 1];
	struct agent_usage *usage; /* of its pods: agent_status.h */
	bool full; /* the stream's backlog is: wait for it to drain */
	UT_hash_handle hh;
};

void agent_free(struct agent *a);

/* Sends one message, or frames that are ready; the agent must be connected. */
int agent_send(struct agent *a, enum frame_type type, const void *payload,
	       size_t len) MUST_CHECK;
void agent_send_frames(struct agent *a, const struct buf *frames);
/* Tells it to end an execution. */
int agent_send_cancel(struct agent *a,
		      const struct live_execution *x) MUST_CHECK;
