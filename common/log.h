/*
 * Log of a program (libraries do not log): one line per event on stderr, as
 * logfmt or as JSON with the same fields. who: a pod, job, connection, or "-";
 * trace: the trace id of the job or request, where there is one.
 *
 *   t=2026-01-02T03:04:05.678Z level=info prog=sidecar who=ex_1 trace=… msg="…"
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

enum log_format {
	LOG_FORMAT_LOGFMT,
	LOG_FORMAT_JSON,
};
#define LOG_FORMAT_HELP "logfmt, or json: an object a line"

void log_set_format(enum log_format format);
/* "logfmt" or "json"; -EINVAL for anything else. */
int log_format_parse(const char *name, enum log_format *format) MUST_CHECK;

/* trace: NULL for none. */
void log_write(enum log_level level, const char *who, const char *trace,
	       const char *fmt, ...) PRINTF_LIKE(4, 5);

#define log_error(who, ...) log_write(LOG_LEVEL_ERROR, who, NULL, __VA_ARGS__)
#define log_warn(who, ...) log_write(LOG_LEVEL_WARN, who, NULL, __VA_ARGS__)
#define log_info(who, ...) log_write(LOG_LEVEL_INFO, who, NULL, __VA_ARGS__)
#define log_debug(who, ...) log_write(LOG_LEVEL_DEBUG, who, NULL, __VA_ARGS__)
