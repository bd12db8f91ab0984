#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/json.h"

#define LOG_LINE_MAX_BYTES 2048
#define LOG_TIME_BYTES 32

static const char *const log_level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *const log_format_names[] = {
	[LOG_FORMAT_LOGFMT] = "logfmt",
	[LOG_FORMAT_JSON] = "json",
};

static struct {
	const char *prog;
	enum log_level level;
	enum log_format format;
} log_state = { .prog = "cronium", .level = LOG_LEVEL_INFO };

struct log_line {
	char time[LOG_TIME_BYTES];
	const char *level, *who, *trace; /* trace: "" for none */
	char msg[LOG_LINE_MAX_BYTES];
};

void log_init(const char *prog, enum log_level level)
{
	log_state.prog = prog;
	log_state.level = level;
}

static int log_find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

int log_level_parse(const char *name, enum log_level *level)
{
	int i = log_find(log_level_names, ARRAY_SIZE(log_level_names), name);

	if (i >= 0)
		*level = (enum log_level)i;
	return MIN(i, 0);
}

int log_format_parse(const char *name, enum log_format *format)
{
	int i = log_find(log_format_names, ARRAY_SIZE(log_format_names), name);

	if (i >= 0)
		*format = (enum log_format)i;
	return MIN(i, 0);
}

void log_set_format(enum log_format format)
{
	log_state.format = format;
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

static void log_print_logfmt(const struct log_line *l)
{
	char quoted[LOG_LINE_MAX_BYTES + 8];

	log_quote(quoted, sizeof(quoted), l->msg);
	dprintf(STDERR_FILENO, "t=%s level=%s prog=%s who=%s%s%s msg=\"%s\"\n",
		l->time, l->level, log_state.prog, l->who,
		*l->trace ? " trace=" : "", l->trace, quoted);
}

static int log_add_member(struct buf *out, const char *name, const char *value)
{
	int r = buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);

	return r ? r : json_append_string(out, value, strlen(value));
}

static int log_format_json(const struct log_line *l, struct buf *out)
{
	int r = buf_append_str(out, "{");

	if (!r)
		r = log_add_member(out, "t", l->time);
	if (!r)
		r = log_add_member(out, "level", l->level);
	if (!r)
		r = log_add_member(out, "prog", log_state.prog);
	if (!r)
		r = log_add_member(out, "who", l->who);
	if (!r && *l->trace)
		r = log_add_member(out, "trace", l->trace);
	if (!r)
		r = log_add_member(out, "msg", l->msg);
	return r ? r : buf_append_str(out, "}");
}

static void log_print_json(const struct log_line *l)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };

	if (!log_format_json(l, &out))
		dprintf(STDERR_FILENO, "%.*s\n", (int)out.len,
			(const char *)out.data);
	else /* out of memory: better in another form than not at all */
		log_print_logfmt(l);
}

static void log_set_time(char out[LOG_TIME_BYTES])
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(out, LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, LOG_TIME_BYTES - n, ".%03dZ",
		 (int)(t.tv_nsec / 1000000));
}

void log_write(enum log_level level, const char *who, const char *trace,
	       const char *fmt, ...)
{
	struct log_line line = {
		.level = log_level_names[level],
		.who = who && *who ? who : "-",
		.trace = trace ? trace : "",
	};
	int saved = errno;
	va_list ap;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(line.msg, sizeof(line.msg), fmt, ap);
	va_end(ap);
	log_set_time(line.time);
	if (log_state.format == LOG_FORMAT_JSON)
		log_print_json(&line);
	else
		log_print_logfmt(&line);
	errno = saved;
}
