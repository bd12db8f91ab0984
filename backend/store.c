#include "backend/store.h"

#include "backend/store_call.h"
#include "common/clock.h"

const char *store_outcome_name(int e)
{
	static const char *const names[] = {
		[0] = "ok",
		[STORE_E_NOT_FOUND] = "not_found",
		[STORE_E_EXISTS] = "exists",
		[STORE_E_CONFLICT] = "conflict",
		[STORE_E_STALE_EPOCH] = "stale_epoch",
		[STORE_E_ENDED] = "ended",
		[STORE_E_LIMIT] = "limit",
		[STORE_E_LOG_GAP] = "log_gap",
		[STORE_E_TYPE] = "not_a_number",
		[STORE_E_RANGE] = "range",
		[STORE_E_KEY_REUSED] = "key_reused",
		[STORE_E_STATE] = "state",
		[STORE_E_STREAM_GAP] = "stream_gap",
		[STORE_E_STREAM_ENDED] = "stream_ended",
		[STORE_E_FAMILY] = "too_many_jobs",
		[STORE_E_HOST] = "no_host",
		[STORE_E_SESSION] = "no_session",
		[STORE_E_SESSION_ENDED] = "session_ended",
	};

	if (e < 0 || (size_t)e >= ARRAY_SIZE(names))
		return "error";
	return names[e];
}

int64_t store_now_ms(const struct store *s)
{
	return clock_steady_ms() + atomic_load(&s->clock_offset_ms);
}

bool store_is_shared(const struct store *s)
{
	return s->url->kind == STORE_POSTGRES;
}

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}
