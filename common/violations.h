/*
 * What is wrong with something that a user wrote: everything at once, as
 * sentences "member: what is wrong" joined by "; ", up to a limit; the rest is
 * only counted. Pure.
 */
#pragma once

#include "common/buf.h"
#include "common/macro.h"

#define VIOLATIONS_MAX 20
#define VIOLATION_MESSAGE_MAX_BYTES 512 /* what is longer is cut */

enum {
	VIOLATIONS_E_SOME = 1, /* something was wrong */
};

struct violations {
	struct buf *out;
	const char *prefix; /* "runtime": "runtime.member: …"; NULL: none */
	unsigned int n;     /* found, also those that are not in out */
	int error;          /* -ENOMEM, remembered until the end */
};

/* "" as member stands for the prefix itself. */
void violations_add(struct violations *v, const char *member, const char *fmt,
		    ...) PRINTF_LIKE(3, 4);
/* Says how many were left out. 0 where there were none, VIOLATIONS_E_SOME, or
 * -ENOMEM. */
int violations_end(struct violations *v) MUST_CHECK;
