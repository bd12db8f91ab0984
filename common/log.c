#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOG_LINE_MAX_BYTES 2048

static const char *const log_level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static struct {
	const char *prog;
	enum log_level level;
} log_state = { "cronium", LOG_LEVEL_INFO };

void log_init(const char *prog, enum log_level level)
{
	log_state.prog = prog;
	log_state.level = level;
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_level_names); i++)
		if (!strcmp(name, log_level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

/* Quotes msg for logfmt: one line whatever the bytes are. */
static size_t log_quote(char *out, size_t cap, const char *msg)
{
	size_t n = 0;

	for (const char *p = msg; *p && n + 5 < cap; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c == '\n') {
			out[n++] = '\\';
			out[n++] = 'n';
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = '\0';
	return n;
}

void log_write(enum log_level level, const char *who, const char *fmt, ...)
{
	char msg[LOG_LINE_MAX_BYTES], quoted[LOG_LINE_MAX_BYTES + 8];
	struct timespec t;
	struct tm tm;
	va_list ap;
	int saved = errno;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	log_quote(quoted, sizeof(quoted), msg);
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	dprintf(STDERR_FILENO,
		"t=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s prog=%s "
		"who=%s msg=\"%s\"\n",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		tm.tm_min, tm.tm_sec, t.tv_nsec / 1000000,
		log_level_names[level], log_state.prog, who ? who : "-",
		quoted);
	errno = saved;
}
