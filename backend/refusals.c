#include "backend/refusals.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "backend/backend.h"
#include "backend/store.h"
#include "backend/store_admin.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

/* One execution's minute. */
struct refusal_window {
	struct refusals *of;
	char execution[ID_MAX_BYTES], job[ID_MAX_BYTES];
	unsigned int n; /* all of them */
	struct event *end;
	UT_hash_handle hh;
};

struct refusals {
	struct backend *b;
	struct refusal_window *windows; /* by execution */
};

static const struct {
	const char *action, *code;
} refusals_table[] = {
	{ "token.refused", "token_missing" },
	{ "token.refused", "token_invalid" },
	{ "token.refused", "token_expired" },
	{ "token.refused", "token_revoked" },
	{ "call.refused", "scope_missing" },
	{ "call.refused", "key_forbidden" },
	{ "call.refused", "read_only" },
	{ "call.refused", "tool_forbidden" },
	{ "call.refused", "rate_limited" },
	{ "call.refused", "too_many_requests" },
};

bool refusals_known(const char *action, const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals_table); i++)
		if (!strcmp(refusals_table[i].action, action) &&
		    !strcmp(refusals_table[i].code, code))
			return true;
	return false;
}

/* --- windows ------------------------------------------------------------- */

static void window_tell(const struct refusal_window *w)
{
	char who[ID_MAX_BYTES + sizeof("execution:")], target[64];
	const struct store_audit entry = {
		.who = who,
		.action = "refusals.counted",
		.target = target,
		.result = "too_many",
		.job = w->job,
		.execution = w->execution,
	};

	if (w->n <= REFUSALS_PER_MIN)
		return;
	snprintf(who, sizeof(who), "execution:%s", w->execution);
	snprintf(target, sizeof(target), "%u more within a minute",
		 w->n - REFUSALS_PER_MIN);
	if (store_audit_append(w->of->b->store, &entry,
			       (struct store_done){ 0 }))
		log_warn(w->execution, "refusals were not audited: %s", target);
}

static void window_free(struct refusal_window *w)
{
	HASH_DEL(w->of->windows, w);
	event_free(w->end);
	free(w);
}

static void on_window_end(evutil_socket_t fd, short what, void *ctx)
{
	window_tell(ctx);
	window_free(ctx);
}

static struct refusal_window *window_new(struct refusals *rf,
					 const struct store_audit *entry)
{
	const struct timeval tv = clock_timeval(REFUSALS_WINDOW_MS);
	struct refusal_window *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->of = rf;
	snprintf(w->execution, sizeof(w->execution), "%s", entry->execution);
	snprintf(w->job, sizeof(w->job), "%s", entry->job);
	w->end = evtimer_new(rf->b->base, on_window_end, w);
	if (w->end && !evtimer_add(w->end, &tv)) {
		HASH_ADD_STR(rf->windows, execution, w);
		if (w->hh.tbl)
			return w;
	}
	if (w->end)
		event_free(w->end);
	free(w);
	return NULL;
}

int refusals_count(struct refusals *rf, const struct store_audit *entry)
{
	struct refusal_window *w;

	HASH_FIND_STR(rf->windows, entry->execution, w);
	if (!w && HASH_COUNT(rf->windows) < REFUSALS_EXECUTIONS_MAX)
		w = window_new(rf, entry);
	if (!w)
		return -ENOMEM;
	return ++w->n > REFUSALS_PER_MIN;
}

/* --- life ---------------------------------------------------------------- */

int refusals_new(struct refusals **out, struct backend *b)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->b = b;
	return 0;
}

void refusals_stop(struct refusals *rf)
{
	struct refusal_window *w, *next;

	HASH_ITER(hh, rf->windows, w, next)
	{
		window_tell(w);
		window_free(w);
	}
}

void refusals_free(struct refusals *rf)
{
	struct refusal_window *w, *next;

	if (!rf)
		return;
	HASH_ITER(hh, rf->windows, w, next)
	window_free(w);
	free(rf);
}
