/*
 * How often a script may do something: a token bucket, in whole numbers. It
 * holds at most `burst` tokens and gets `per_min` of them in a minute.
 *
 * Pure: the time is a parameter.
 */
#pragma once

#include <stdint.h>

#define RATE_MAX 1000000000 /* of both numbers */

/* What is counted apart. */
enum rate_class {
	RATE_FORWARD,  /* calls to the backend; the cache's answers are free */
	RATE_TOOLS,    /* tool actions */
	RATE_REQUESTS, /* of any kind: a gateway's */
	RATE_CLASSES,
};

struct rate_limit {
	uint64_t per_min; /* 0: no limit */
	uint64_t burst;   /* 0 counts as 1: nothing would ever be let through */
};

/* Embedded by value. */
struct rate {
	struct rate_limit limit;
	uint64_t level; /* 1/60000 of a token */
	uint64_t seen_ms;
};

/* Full. Larger numbers than RATE_MAX count as RATE_MAX. */
void rate_init(struct rate *r, const struct rate_limit *limit, uint64_t now_ms);
/* 0: taken. Otherwise after how many milliseconds there is a token. */
uint64_t rate_take(struct rate *r, uint64_t now_ms);
/* That as whole seconds, at least 1: for Retry-After. */
uint64_t rate_wait_s(uint64_t wait_ms);
