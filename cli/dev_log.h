/*
 * What `cronium dev` says on stderr while the script runs: a line an
 * operation, secrets masked.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define DEV_LOG_LINE_BYTES 400 /* more is cut off, at a character */

struct buf;
struct redactor;

/* Embedded by value. */
struct dev_log {
	bool quiet;
	struct redactor *redactor;
};

int dev_log_init(struct dev_log *log, bool quiet) MUST_CHECK;
void dev_log_deinit(struct dev_log *log);

/* A JSON value that is not to be shown. 0, or negative errno: then it must not
 * be told to the script either. */
int dev_log_hide(struct dev_log *log, const void *value, size_t len) MUST_CHECK;

/* "get_variable a -> 1"; not where it is quiet. */
void dev_log_say(struct dev_log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same, always: what the script did in all. */
void dev_log_tell(struct dev_log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A copy with every secret masked, in keys and values; NULL on ENOMEM. */
json_t *dev_log_mask(struct dev_log *log, const json_t *value);
