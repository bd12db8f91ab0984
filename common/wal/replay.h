/*
 * What is open at the end of a write-ahead log: folds its records into one
 * entry for each execution that was claimed and has not ended. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/id.h"
#include "common/macro.h"
#include "common/wal/record.h"

struct wal_damage;
struct wal_replay;

/* More cannot be open: the most leases that one orchestrator has, and what
 * each may have left over from its restarts. */
#define WAL_REPLAY_OPEN_MAX 65536

struct wal_execution {
	char execution[ID_MAX_BYTES], job[ID_MAX_BYTES];
	uint64_t first_seq;  /* its oldest record: for wal_needed() */
	enum wal_type state; /* the last of CLAIMED to STARTED */
	int64_t claimed_ms, started_ms; /* 0: has not */
	int64_t last_ms;
	/* `data` of the last record of each type; NULL for none. */
	json_t *claimed, *validated, *pod, *started, *output, *recovered;
};

int wal_replay_new(struct wal_replay **out) MUST_CHECK;
void wal_replay_free(struct wal_replay *r);

/* In order. 0, -E2BIG (over WAL_REPLAY_OPEN_MAX) or -ENOMEM. */
int wal_replay_record(struct wal_replay *r,
		      const struct wal_record *record) MUST_CHECK;

/* What is open, oldest first: the first for NULL, NULL after the last. Ours
 * until the next record or free. */
const struct wal_execution *wal_replay_next(const struct wal_replay *r,
					    const struct wal_execution *after);
size_t wal_replay_count(const struct wal_replay *r);
const struct wal_execution *wal_replay_find(const struct wal_replay *r,
					    const char *execution);
/* Whether the last orchestrator said that it ends (`closed`); true where there
 * was none. */
bool wal_replay_orderly(const struct wal_replay *r);

/* Reads all of dir that is needed. Damage goes to on_damage (may be NULL),
 * which goes on. 0 or negative errno; -ENOENT: there is no log. */
int wal_replay_dir(struct wal_replay *r, const char *dir,
		   void (*on_damage)(const struct wal_damage *d, void *ctx),
		   void *ctx) MUST_CHECK;
