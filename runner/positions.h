/*
 * How far each part of a log has come: payload bytes of its STDOUT, STDERR and
 * NOTICE frames, from the first one on. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/frame.h"
#include "common/json.h"

enum positions_part {
	POSITIONS_STDOUT,
	POSITIONS_STDERR,
	POSITIONS_NOTICE,
	POSITIONS_PARTS,
};

struct positions {
	uint64_t at[POSITIONS_PARTS];
};

/* type is one of the three. */
enum positions_part positions_part_of(enum frame_type type);

/* {"stdout":N,"stderr":N,"notice":N}; what is absent is 0. 0, or -EINVAL where
 * it is no object of such numbers. */
int positions_read(struct positions *out, const json_t *o) MUST_CHECK;
/* The same of a TAKEN frame's payload. */
int positions_parse(struct positions *out, const void *data,
		    size_t len) MUST_CHECK;
