/*
 * One reader of changes of variables: of all that it may read, without their
 * values, or of one key with them.
 *
 *   WAITING ──▶ READING ──▶ AUDITING
 *                  └──┬────────┘
 *                     ├──▶ WAITING   there is more to read
 *                     ├──▶ LIVE ───▶ WAITING (a change to read) | BLOCKED
 *                     └──▶ BLOCKED ─▶ WAITING | LIVE   the peer has taken it
 *
 * WAITING:  for its turn to read from the store; so it begins.
 * AUDITING: a secret's value was read, which is put on record first.
 * LIVE:     caught up: each change is written as it is told.
 * BLOCKED:  the peer is slow.
 *
 * A change is counted by its version: one that was read from the store is not
 * told again, one that was missed is read. What is written live is never a
 * secret's value: those are read, so that the reading is on record before.
 * Nothing is kept for a slow peer but one piece of CHANGE_STREAM_READ_BYTES, or
 * one value; where its next change is no longer known it is broken off, and
 * comes again with its `from`.
 */
#pragma once

#include <stdint.h>

#define CHANGE_STREAM_READ_BYTES (256 * 1024)
#define CHANGE_STREAM_READ_MAX 256   /* changes */
#define CHANGE_STREAM_STALL_MS 30000 /* takes nothing: cut off */

struct api_call;

/* Answers the call. key: NULL for all; from: a version, negative for none. */
void change_stream_start(struct api_call *call, const char *key, int64_t from);
