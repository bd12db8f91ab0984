#include "backend-client/breaker.h"

void breaker_init(struct breaker *b, uint32_t threshold, uint32_t open_ms)
{
	*b = (struct breaker){
		.state = BACKEND_CLOSED,
		.threshold = threshold ? threshold : 1,
		.open_ms = open_ms,
	};
}

bool breaker_admit(struct breaker *b, uint64_t now_ms)
{
	if (b->state == BACKEND_CLOSED)
		return true;
	if (b->state == BACKEND_OPEN) {
		if (now_ms < b->until_ms)
			return false;
		b->state = BACKEND_HALF_OPEN;
		b->trial = false;
	}
	if (b->trial)
		return false;
	b->trial = true;
	return true;
}

uint64_t breaker_wait_until(const struct breaker *b, uint64_t now_ms)
{
	if (b->state != BACKEND_OPEN || now_ms >= b->until_ms)
		return 0;
	return b->until_ms;
}

void breaker_success(struct breaker *b)
{
	b->state = BACKEND_CLOSED;
	b->failures = 0;
	b->trial = false;
}

bool breaker_failure(struct breaker *b, uint64_t now_ms)
{
	if (b->state == BACKEND_OPEN)
		return false;
	b->failures++;
	if (b->state == BACKEND_CLOSED && b->failures < b->threshold)
		return false;
	b->state = BACKEND_OPEN;
	b->until_ms = now_ms + b->open_ms;
	b->trial = false;
	return true;
}

void breaker_abandon(struct breaker *b)
{
	b->trial = false;
}
