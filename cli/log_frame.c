#include "cli/log_frame.h"

#include <string.h>

#include "cli/output.h"
#include "common/json.h"

static int log_frame_line(enum frame_type type, const struct buf *text)
{
	static const char *const names[] = { [FRAME_STDOUT] = "stdout",
					     [FRAME_STDERR] = "stderr",
					     [FRAME_NOTICE] = "notice" };
	struct buf line = { 0 };
	int r = buf_printf(&line, "{\"stream\":\"%s\",\"text\":", names[type]);

	if (!r)
		r = json_append_string(&line, (const char *)text->data,
				       text->len);
	if (!r)
		r = buf_append_str(&line, "}\n");
	if (!r)
		r = output_bytes(STDOUT_FILENO, line.data, line.len);
	buf_deinit(&line);
	return r;
}

/* How many bytes at the end begin a character that is not complete. */
static size_t log_frame_unfinished(const uint8_t *s, size_t len)
{
	for (size_t n = 1; n < LOG_FRAME_UTF8_MAX_BYTES && n <= len; n++) {
		uint8_t c = s[len - n];
		size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if (c < 0x80)
			return 0;
		if (c >= 0xc0)
			return whole > n ? n : 0;
	}
	return 0;
}

int log_frame_print_json(struct log_frame *log, const struct frame *f)
{
	struct buf text = { 0 };
	size_t keep;
	int r = buf_append(&text, log->held[f->type].bytes,
			   log->held[f->type].n);

	if (!r)
		r = buf_append(&text, f->payload, f->len);
	if (r < 0) {
		buf_deinit(&text);
		return r;
	}
	keep = log_frame_unfinished(text.data, text.len);
	text.len -= keep;
	memcpy(log->held[f->type].bytes, text.data + text.len, keep);
	log->held[f->type].n = keep;
	if (text.len)
		r = log_frame_line(f->type, &text);
	buf_deinit(&text);
	return r;
}

int log_frame_finish_json(struct log_frame *log)
{
	int r = 0;

	for (size_t type = FRAME_STDOUT; type <= FRAME_NOTICE && !r; type++) {
		struct buf text = { .data = (uint8_t *)log->held[type].bytes,
				    .len = log->held[type].n };

		if (text.len)
			r = log_frame_line((enum frame_type)type, &text);
		log->held[type].n = 0;
	}
	return r;
}
