/*
 * Whether and when a failed attempt is made again; pure: time and randomness
 * are parameters.
 *
 * Delays are exponential with full jitter: uniform in [0, initial * 2^n],
 * capped. Spreading over the whole range empties a queue of competing clients
 * fastest (M. Brooker, "Exponential Backoff And Jitter", 2015).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "backend-client/client.h"

#define RETRY_ATTEMPTS_MAX 5 /* for calls without a deadline */

/* How an attempt failed. */
enum retry_cause {
	RETRY_UNSENT,  /* refused, above GOAWAY's last stream, or not written */
	RETRY_BROKEN,  /* stream or connection died under way */
	RETRY_TIMEOUT, /* attempt_timeout_ms ran out */
	RETRY_STATUS,  /* answered with retry_status() */
};

struct retry_backoff {
	uint32_t initial_ms, max_ms;
};

struct retry_call {
	enum backend_retry mode;
	unsigned int attempts; /* made so far, this one included */
	uint64_t deadline_ms;  /* absolute; 0 = none */
};

/* 429, 502, 503 and 504. */
bool retry_status(int status);
/* Retry-After in seconds, as milliseconds; 0 when absent or not a number. */
uint64_t retry_after_ms(const char *value);
/* failures >= 1; random is 32 uniform bits. */
uint64_t retry_delay_ms(const struct retry_backoff *b, unsigned int failures,
			uint32_t random);
/*
 * True with *at_ms set if the call is to be tried again. at_least_ms is what
 * the backend asked for. A retry that cannot start before the deadline is
 * none: the caller hears the failure at once.
 */
bool retry_plan(const struct retry_backoff *b, const struct retry_call *call,
		enum retry_cause cause, uint64_t at_least_ms, uint64_t now_ms,
		uint32_t random, uint64_t *at_ms);
