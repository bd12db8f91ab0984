/*
 * Tells the backend's audit log what the sidecar has refused by itself. One
 * entry is under way at a time, the next not before AUDIT_PAUSE_MS, and what is
 * refused meanwhile for the same reason is not told again: a script that is
 * refused in a loop does not fill the log. No reply waits for it.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "common/http/trace.h"

#define AUDIT_REASONS 7
#define AUDIT_TARGET_BYTES 257 /* a key and a NUL */
#define AUDIT_PAUSE_MS 1000
#define AUDIT_DEADLINE_MS 60000

struct backend_call;
struct execution;
struct request;

struct audit_entry {
	bool waits;
	char trace[TRACE_BYTES];
	char target[AUDIT_TARGET_BYTES]; /* "" for none */
};

/* Embedded by value. */
struct audit {
	struct execution *execution;
	struct backend_call *call;
	struct event timer; /* until the next one */
	struct audit_entry entries[AUDIT_REASONS];
};

void audit_init(struct audit *a, struct execution *x);
void audit_deinit(struct audit *a);

/* code: as the reply tells it; target: the name that it is about, or NULL. */
void audit_refusal(const struct request *req, const char *code,
		   const char *target);
