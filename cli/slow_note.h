/*
 * Tells on stderr what a command waits for when the server takes long: one that
 * is there while its database is not answers nothing for seconds. Once in the
 * life of an api.
 */
#pragma once

#include "common/macro.h"

#define SLOW_NOTE_MS 1500        /* without an answer */
#define SLOW_NOTE_ANSWER_MS 3000 /* for the server itself to say something */

struct api;
struct slow_note;

/* From now on; *out is NULL where there is nothing to say any more. 0 or
 * -ENOMEM. */
int slow_note_start(struct slow_note **out, struct api *api) MUST_CHECK;
/* There is an answer; NULL is fine. */
void slow_note_stop(struct slow_note *n);
