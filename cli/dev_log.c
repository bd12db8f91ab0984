#include "cli/dev_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/redact.h"

int dev_log_init(struct dev_log *log, bool quiet)
{
	log->quiet = quiet;
	return redactor_new(&log->redactor);
}

void dev_log_deinit(struct dev_log *log)
{
	redactor_free(log->redactor);
	log->redactor = NULL;
}

int dev_log_hide(struct dev_log *log, const void *value, size_t len)
{
	int r = redactor_add(log->redactor, value, len);

	if (r == REDACT_E_FULL)
		return -ENOSPC;
	return MIN(r, 0);
}

static int mask(struct dev_log *log, const char *text, size_t len,
		struct buf *out)
{
	struct redact_stream *s;
	int r = redact_stream_new(&s, log->redactor);

	if (r < 0)
		return r;
	r = redact_stream_feed(s, text, len, out);
	if (!r)
		r = redact_stream_flush(s, out);
	redact_stream_free(s);
	return r < 0 || buf_cstr(out) ? r : -ENOMEM;
}

/* One line: control characters would draw on the terminal. */
static void tidy(struct buf *line)
{
	size_t len = line->len;

	if (len > DEV_LOG_LINE_BYTES) {
		len = DEV_LOG_LINE_BYTES;
		while (len && (line->data[len] & 0xc0) == 0x80)
			len--;
		memcpy(line->data + len, "…", strlen("…") + 1);
	}
	for (uint8_t *p = line->data; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = ' ';
}

static PRINTF_LIKE(2, 0) void tell(struct dev_log *log, const char *fmt,
				   va_list ap)
{
	_cleanup_(buf_deinit) struct buf line = { 0 };
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	if (mask(log, text, strlen(text), &line) < 0 ||
	    buf_reserve(&line, sizeof("…")) < 0)
		return;
	tidy(&line);
	/* In one piece: the script writes there as well. */
	dprintf(STDERR_FILENO, "cronium: %s\n", (char *)line.data);
}

void dev_log_say(struct dev_log *log, const char *fmt, ...)
{
	va_list ap;

	if (log->quiet)
		return;
	va_start(ap, fmt);
	tell(log, fmt, ap);
	va_end(ap);
}

void dev_log_tell(struct dev_log *log, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(log, fmt, ap);
	va_end(ap);
}

/* --- trees ---------------------------------------------------------------- */

static json_t *mask_text(struct dev_log *log, const char *text, size_t len)
{
	_cleanup_(buf_deinit) struct buf out = { 0 };

	if (mask(log, text, len, &out) < 0)
		return NULL;
	return json_stringn((char *)out.data, out.len);
}

/* A secret that is a number is one wherever it stands. */
static json_t *mask_number(struct dev_log *log, const json_t *value)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	json_t *masked;

	if (json_append(&text, value) < 0)
		return NULL;
	masked = mask_text(log, (char *)text.data, text.len);
	if (!masked || strcmp(json_string_value(masked), REDACT_MASK) == 0)
		return masked;
	json_decref(masked);
	return json_deep_copy(value);
}

static json_t *mask_object(struct dev_log *log, const json_t *value)
{
	json_t *out = json_object(), *item, *masked;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)value, name, item) {
		_cleanup_json_ json_t *key = mask_text(log, name, strlen(name));

		masked = dev_log_mask(log, item);
		if (!key || json_object_set_new(out, json_string_value(key),
						masked) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static json_t *mask_array(struct dev_log *log, const json_t *value)
{
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach(value, i, item)
		if (json_array_append_new(out, dev_log_mask(log, item)) < 0) {
			json_decref(out);
			return NULL;
		}
	return out;
}

json_t *dev_log_mask(struct dev_log *log, const json_t *value)
{
	if (json_is_object(value))
		return mask_object(log, value);
	if (json_is_array(value))
		return mask_array(log, value);
	if (json_is_string(value))
		return mask_text(log, json_string_value(value),
				 json_string_length(value));
	if (json_is_number(value))
		return mask_number(log, value);
	return json_deep_copy(value);
}
