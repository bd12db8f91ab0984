/*
 * Why a queued job waits, judged by what the connected orchestrators say of
 * themselves. The first of these that holds is the reason:
 *
 *   its session is paused ─▶ it is to be tried again later ─▶ the store gives
 *   nothing out ─▶ nobody is connected ─▶ not the one that it wants ─▶ nobody
 *   has its executor ─▶ … its labels ─▶ those that are left are drained ─▶ …
 *   are kept shut by their guards ─▶ … cannot start anything with its executor
 *   for now ─▶ … have no slot free
 *
 * Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct store_job;

enum waiting_code {
	WAITING_NONE, /* for nothing: it is being given out, or not queued */
	WAITING_SESSION_PAUSED,
	WAITING_RETRY,
	WAITING_STORE,
	WAITING_NO_AGENT,
	WAITING_AGENT_AWAY,
	WAITING_EXECUTOR,
	WAITING_LABELS,
	WAITING_DRAINED,
	WAITING_GUARD,
	WAITING_EXECUTOR_AWAY,
	WAITING_SLOTS,
	WAITING_CODES, /* how many there are */
};

#define WAITING_MESSAGE_MAX_BYTES 768

struct waiting {
	enum waiting_code code;
	char message[WAITING_MESSAGE_MAX_BYTES]; /* for people */
};

/* A connected orchestrator. */
struct waiting_agent {
	const char *name;
	const char *executors; /* "docker,sandbox" */
	size_t slots, leases;
	bool labelled; /* has the labels that the job asks for */
	bool drained;
	bool refusing;       /* its guard takes nothing … */
	const char *away;    /* … or these executors do, "docker"; "" … */
	const char *problem; /* … because of this */
};

/* What there is to judge by. */
struct waiting_place {
	const struct waiting_agent *agents;
	size_t n;
	const char *problem; /* why the store gives out nothing, or NULL */
};

void waiting_explain(const struct store_job *job,
		     const struct waiting_place *place, struct waiting *out);

/* Whether a job with no_wait fails for it: anything but a free slot, and the
 * pause before its own next try. */
bool waiting_is_refused(enum waiting_code code);
/* Whether it is somebody's absence, who may just have gone for a moment. */
bool waiting_is_absence(enum waiting_code code);

/* "session_paused" …; NULL for WAITING_NONE. */
const char *waiting_code_name(enum waiting_code code);
/* {"code","message"}, or null. NULL on ENOMEM. */
json_t *waiting_json(const struct waiting *w);
