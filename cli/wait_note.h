/*
 * Says what a queued job waits for: not before it has waited for a while, and
 * once for each change.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/macro.h"

struct event_base;
struct wait_note;

/* A job that has not been claimed after so long is worth a word. */
#define WAIT_NOTE_AFTER_MS 2000

/* tell is called from wait_note_job() or from the loop: code and why are
 * "code" and "message" of the job's "waiting". NULL on ENOMEM. */
struct wait_note *wait_note_new(struct event_base *base,
				void (*tell)(void *ctx, const char *code,
					     const char *why),
				void *ctx);
void wait_note_free(struct wait_note *n);

/* The job object as it is now. */
void wait_note_job(struct wait_note *n, const json_t *job);

/* Whether it waits for something that only somebody else can bring: another
 * orchestrator, room on the server's disk. */
bool wait_note_is_hopeless(const char *code);
