/*
 * What sidecars have refused by themselves, on its way to the audit log. A
 * script can make its sidecar refuse as often as it likes: of one execution
 * REFUSALS_PER_MIN are written within a minute, the others are counted, and
 * told as one entry at its end.
 */
#pragma once

#include <stdbool.h>

#include "backend/store_record.h"
#include "common/macro.h"

#define REFUSALS_PER_MIN 60
#define REFUSALS_WINDOW_MS 60000
#define REFUSALS_EXECUTIONS_MAX 16384 /* within a minute */

struct backend;
struct refusals;

int refusals_new(struct refusals **out, struct backend *b) MUST_CHECK;
void refusals_free(struct refusals *rf);

/* Whether the execution may report this; the table is pure. */
bool refusals_known(const char *action, const char *code);

/* 0: the entry, of an execution, is to be written; 1: it was counted;
 * -ENOMEM. */
int refusals_count(struct refusals *rf,
		   const struct store_audit *entry) MUST_CHECK;
/* Writes what was counted: the backend stops. */
void refusals_stop(struct refusals *rf);
