/*
 * Log of a program (libraries do not log): one logfmt line per event on
 * stderr. The second field is who: a pod, job, connection, or "-".
 *
 *   t=2026-01-02T03:04:05.678Z level=info prog=sidecar who=ex_1 msg="…"
 *
 * Never pass a token or a secret value.
 */
#pragma once

#include "common/macro.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* prog must outlive the process. */
void log_init(const char *prog, enum log_level level);
/* "error", "warn", "info" or "debug"; -EINVAL for anything else. */
int log_level_parse(const char *name, enum log_level *level) MUST_CHECK;

void log_write(enum log_level level, const char *who, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#define log_error(who, ...) log_write(LOG_LEVEL_ERROR, who, __VA_ARGS__)
#define log_warn(who, ...) log_write(LOG_LEVEL_WARN, who, __VA_ARGS__)
#define log_info(who, ...) log_write(LOG_LEVEL_INFO, who, __VA_ARGS__)
#define log_debug(who, ...) log_write(LOG_LEVEL_DEBUG, who, __VA_ARGS__)
