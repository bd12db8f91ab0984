/*
 * Circuit breaker, pure: the time is a parameter.
 *
 *   CLOSED ──threshold consecutive failures──▶ OPEN
 *     ▲                                         │ open_ms later
 *     └──success── HALF_OPEN ◀──────────────────┘
 *                      └──failure──▶ OPEN
 *
 * Half open, one trial is let through at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "backend-client/client.h"

struct breaker {
	enum backend_breaker state;
	uint32_t threshold; /* consecutive failures */
	uint32_t open_ms;
	uint32_t failures;
	uint64_t until_ms; /* OPEN: when it may be tried again */
	bool trial;        /* HALF_OPEN: one is under way */
};

void breaker_init(struct breaker *b, uint32_t threshold, uint32_t open_ms);
/* True if one more may be tried now; HALF_OPEN, the caller owes one of the
 * three verdicts below. */
bool breaker_admit(struct breaker *b, uint64_t now_ms);
/* When breaker_admit() is worth asking again; 0 = now. */
uint64_t breaker_wait_until(const struct breaker *b, uint64_t now_ms);

void breaker_success(struct breaker *b);
/* Returns true when this failure opened it. */
bool breaker_failure(struct breaker *b, uint64_t now_ms);
/* The trial ended without saying anything about the backend. */
void breaker_abandon(struct breaker *b);
