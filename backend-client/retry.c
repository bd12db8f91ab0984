#include "backend-client/retry.h"

#include <stddef.h>

#define RETRY_SHIFT_MAX 20
#define RETRY_AFTER_MAX_S 3600

bool retry_status(int status)
{
	return status == 429 || (status >= 502 && status <= 504);
}

uint64_t retry_after_ms(const char *value)
{
	uint64_t s = 0;

	if (!value || !*value)
		return 0;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return 0;
		s = s * 10 + (uint64_t)(*value - '0');
		if (s > RETRY_AFTER_MAX_S)
			return RETRY_AFTER_MAX_S * 1000;
	}
	return s * 1000;
}

uint64_t retry_delay_ms(const struct retry_backoff *b, unsigned int failures,
			uint32_t random)
{
	unsigned int shift = MIN(failures - 1, RETRY_SHIFT_MAX);
	uint64_t range = MIN((uint64_t)b->initial_ms << shift,
			     (uint64_t)b->max_ms);

	return ((range + 1) * random) >> 32;
}

static bool retry_allowed(enum backend_retry mode, enum retry_cause cause)
{
	switch (mode) {
	case BACKEND_RETRY_NEVER:
		return false;
	case BACKEND_RETRY_UNSENT:
		return cause == RETRY_UNSENT;
	case BACKEND_RETRY_SAFE:
		return true;
	}
	return false;
}

bool retry_plan(const struct retry_backoff *b, const struct retry_call *call,
		enum retry_cause cause, uint64_t at_least_ms, uint64_t now_ms,
		uint32_t random, uint64_t *at_ms)
{
	uint64_t delay;

	if (!retry_allowed(call->mode, cause))
		return false;
	if (!call->deadline_ms && call->attempts >= RETRY_ATTEMPTS_MAX)
		return false;
	/* A connection that is going away refuses its last streams: the next
	 * one can have them at once. */
	if (cause == RETRY_UNSENT && call->attempts <= 1)
		delay = 0;
	else
		delay = retry_delay_ms(b, call->attempts, random);
	*at_ms = now_ms + MAX(delay, at_least_ms);
	return !call->deadline_ms || *at_ms < call->deadline_ms;
}
