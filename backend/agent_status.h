/*
 * What an agent's heartbeat says of the agent itself: whether it accepts jobs,
 * its last snapshot, and its pods with what they use. Of processor time only
 * the total is sent; how much of it is used now follows from two beats. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/store_queue.h"
#include "common/buf.h"
#include "common/macro.h"

#define AGENT_STATUS_CODE_MAX_BYTES 32
#define AGENT_STATUS_PROBLEM_MAX_BYTES 500
#define AGENT_STATUS_SNAPSHOT_MAX_BYTES (32 * 1024)
#define AGENT_STATUS_PODS_MAX STORE_HEARTBEAT_MAX

/* The processor time of each pod as of the last beat. */
struct agent_usage;
void agent_usage_free(struct agent_usage *usage);

struct agent_status {
	struct store_agent_status stored; /* points into the rest */
	char code[AGENT_STATUS_CODE_MAX_BYTES + 1];
	char problem[AGENT_STATUS_PROBLEM_MAX_BYTES + 1];
	struct buf snapshot, pods;
};

/*
 * Reads {"accepting","code","problem","snapshot","pods":[{"execution","job",
 * "state","cpu_us","memory_bytes","pids"}]}; NULL: it says nothing. The pods
 * get "cpu_percent" (of one core) where *usage knows them; it is brought up to
 * date. 0, -EINVAL with a sentence in err, or -ENOMEM.
 */
int agent_status_parse(struct agent_status *out, const json_t *status,
		       struct agent_usage **usage, int64_t now_ms, char *err,
		       size_t err_size) MUST_CHECK;
/* The executors that a code names as away, "docker" of "away:docker"; "": it is
 * none of these, or NULL. */
const char *agent_status_away(const char *code);
void agent_status_deinit(struct agent_status *s);
