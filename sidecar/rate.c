#include "sidecar/rate.h"

#include "common/macro.h"

/* Of one token: a millisecond then adds per_min, and nothing is rounded. */
#define TOKEN_PARTS 60000

static uint64_t capacity(const struct rate *r)
{
	return r->limit.burst * TOKEN_PARTS;
}

void rate_init(struct rate *r, const struct rate_limit *limit, uint64_t now_ms)
{
	*r = (struct rate){
		.limit = {
			.per_min = MIN(limit->per_min, RATE_MAX),
			.burst = MAX(MIN(limit->burst, RATE_MAX), 1),
		},
		.seen_ms = now_ms,
	};
	r->level = capacity(r);
}

static void refill(struct rate *r, uint64_t now_ms)
{
	uint64_t missing = capacity(r) - r->level;
	uint64_t ms;

	if (now_ms <= r->seen_ms)
		return;
	ms = now_ms - r->seen_ms;
	r->seen_ms = now_ms;
	/* Compared before it is multiplied: a long time overflows. */
	if (ms > missing / r->limit.per_min)
		r->level = capacity(r);
	else
		r->level += ms * r->limit.per_min;
}

uint64_t rate_take(struct rate *r, uint64_t now_ms)
{
	uint64_t missing;

	if (!r->limit.per_min)
		return 0;
	refill(r, now_ms);
	if (r->level >= TOKEN_PARTS) {
		r->level -= TOKEN_PARTS;
		return 0;
	}
	missing = TOKEN_PARTS - r->level;
	return (missing + r->limit.per_min - 1) / r->limit.per_min;
}

uint64_t rate_wait_s(uint64_t wait_ms)
{
	return MAX((wait_ms + 999) / 1000, 1);
}
