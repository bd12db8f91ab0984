/*
 * The log of one script, as far as it is not safe elsewhere: frames in the
 * order in which they came, the next one to be sent, and how much of each part
 * was TAKEN. Pure.
 *
 *   dropped │ kept, was sent │ kept, is still to be sent
 *         begin            next                        end
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/frame.h"
#include "common/macro.h"
#include "runner/positions.h"

/* With the frames' headers, which bounds scripts that write single bytes. */
#define KEPT_MAX_BYTES (1024 * 1024)
/* From there on room is also looked for in the middle. */
#define KEPT_SQUEEZE_BYTES (KEPT_MAX_BYTES / 2)

struct kept {
	struct buf frames;
	size_t sent; /* bytes of frames that are before next */
	struct positions begin, next, end, taken;
};

void kept_deinit(struct kept *k);

/* How many bytes of output there is room for in one frame; 0: none. */
size_t kept_room(const struct kept *k);
/* Of STDOUT, STDERR or NOTICE, len <= FRAME_PAYLOAD_MAX_BYTES. Lines of our own
 * may go beyond kept_room(). 0 or -ENOMEM. */
int kept_append(struct kept *k, enum frame_type type, const void *data,
		size_t len) MUST_CHECK;

/* What is to be sent now, without what was TAKEN; *out is valid until the next
 * call. False: nothing. */
bool kept_next(struct kept *k, struct frame *out);
/* Whether all was given out. */
bool kept_all_sent(const struct kept *k);

/* Everything up to there is safe. What was never kept cannot be. */
void kept_take(struct kept *k, const struct positions *taken);
/* The same, and all after that is to be sent again. Returns how many bytes of
 * it are gone: taken was further once. */
uint64_t kept_rewind(struct kept *k, const struct positions *taken);
