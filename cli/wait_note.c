#include "cli/wait_note.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"

#define WAIT_NOTE_CODE_BYTES 32
#define WAIT_NOTE_WHY_BYTES 1024

struct wait_reason {
	char code[WAIT_NOTE_CODE_BYTES]; /* "": for nothing */
	char why[WAIT_NOTE_WHY_BYTES];
};

struct wait_note {
	void (*tell)(void *ctx, const char *code, const char *why);
	void *ctx;
	struct event *timer; /* pending, or gone off: due */
	bool due;
	struct wait_reason now, told;
};

/* The log says when it is tried again. */
static bool wait_note_is_said(const struct wait_reason *reason)
{
	return !*reason->code || !strcmp(reason->code, "retry");
}

static void wait_note_tell(struct wait_note *n)
{
	if (!n->due || wait_note_is_said(&n->now) ||
	    !strcmp(n->now.why, n->told.why))
		return;
	n->told = n->now;
	n->tell(n->ctx, n->told.code, n->told.why);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct wait_note *n = ctx;

	n->due = true;
	wait_note_tell(n);
}

void wait_note_job(struct wait_note *n, const json_t *job)
{
	const struct timeval after = clock_timeval(WAIT_NOTE_AFTER_MS);
	const json_t *waiting = json_object_get(job, "waiting");
	bool queued = !strcmp(json_get_str(job, "state", ""), "queued");

	if (!queued) {
		event_del(n->timer);
		n->due = false;
	} else if (!n->due && !event_pending(n->timer, EV_TIMEOUT, NULL)) {
		event_add(n->timer, &after);
	}
	snprintf(n->now.code, sizeof(n->now.code), "%s",
		 json_get_str(waiting, "code", ""));
	snprintf(n->now.why, sizeof(n->now.why), "%s",
		 json_get_str(waiting, "message", ""));
	wait_note_tell(n);
}

bool wait_note_is_hopeless(const char *code)
{
	static const char *const codes[] = { "no_agent", "agent_away",
					     "executor", "labels", "store" };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (!strcmp(code, codes[i]))
			return true;
	return false;
}

struct wait_note *wait_note_new(struct event_base *base,
				void (*tell)(void *ctx, const char *code,
					     const char *why),
				void *ctx)
{
	struct wait_note *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->tell = tell;
	n->ctx = ctx;
	n->timer = evtimer_new(base, on_timer, n);
	if (!n->timer) {
		free(n);
		return NULL;
	}
	return n;
}

void wait_note_free(struct wait_note *n)
{
	if (!n)
		return;
	event_free(n->timer);
	free(n);
}
