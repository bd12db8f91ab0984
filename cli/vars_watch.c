#include "cli/vars_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/api.h"
#include "cli/api_stream.h"
#include "cli/command.h"
#include "cli/output.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/percent.h"

#define WATCH_SILENCE_MS (3 * FRAME_HEARTBEAT_MS)

struct watch {
	struct api_stream stream;
	const char *key;
	int64_t version; /* seen so far; negative: none */
	struct frame_decoder decoder;
	json_t *change; /* whose VALUE is to come */
};

/* --- what comes ---------------------------------------------------------- */

/* A newline is white space in JSON, never part of a string. */
static void watch_append_value(struct buf *line, const uint8_t *value,
			       size_t len)
{
	size_t at = line->len;

	if (buf_append(line, value, len))
		return;
	for (; at < line->len; at++)
		if (line->data[at] == '\n' || line->data[at] == '\r')
			line->data[at] = ' ';
}

/* value NULL: it was deleted. */
static void watch_print(struct watch *w, const json_t *change,
			const uint8_t *value, size_t len)
{
	int64_t version = json_get_int(change, "version", 0);
	struct buf line = { 0 };
	int r = buf_append_str(&line, "{\"key\":");

	if (!r)
		r = json_append_string(&line, w->key, strlen(w->key));
	if (!r)
		r = buf_printf(&line, ",\"version\":%" PRId64 ",%s", version,
			       value ? "\"value\":" : "\"deleted\":true");
	if (!r && value)
		watch_append_value(&line, value, len);
	if (!r)
		r = buf_append_str(&line, "}\n");
	if (!r)
		r = output_bytes(STDOUT_FILENO, line.data, line.len);
	buf_deinit_secret(&line);
	w->version = version;
	if (r == -EPIPE) {
		api_stream_finish(&w->stream, CLI_OK);
	} else if (r < 0) {
		output_error("cannot write the change: %s", strerror(-r));
		api_stream_finish(&w->stream, CLI_FAILED);
	}
}

static void watch_on_position(struct watch *w, const struct frame *frame)
{
	_cleanup_json_ json_t *o = json_parse_object(frame->payload, frame->len,
						     NULL, 0);
	int64_t version = json_get_int(o, "version", 0);

	if (json_get_bool(o, "reset", false))
		output_warn("not all changes of %s since version %" PRId64
			    " are known any more: this is how it is now",
			    w->key, w->version);
	else if (w->version < 0)
		w->version = version;
}

static void watch_on_change(struct watch *w, const struct frame *frame)
{
	json_decref(w->change);
	w->change = json_parse_object(frame->payload, frame->len, NULL, 0);
	if (json_get_bool(w->change, "deleted", false))
		watch_print(w, w->change, NULL, 0);
}

static void watch_on_frame(void *ctx, const struct frame *frame)
{
	struct watch *w = ctx;

	switch (frame->type) {
	case FRAME_POSITION:
		watch_on_position(w, frame);
		return;
	case FRAME_CHANGE:
		watch_on_change(w, frame);
		return;
	case FRAME_VALUE:
		if (w->change)
			watch_print(w, w->change, frame->payload, frame->len);
		return;
	default:
		return; /* a newer server says more than we know */
	}
}

/* --- the stream ---------------------------------------------------------- */

static void on_data(void *ctx, const uint8_t *data, size_t len)
{
	struct watch *w = ctx;

	if (api_stream_feed(&w->stream, &w->decoder, data, len,
			    watch_on_frame)) {
		output_error("cannot watch %s: the server's stream is broken",
			     w->key);
		api_stream_finish(&w->stream, CLI_FAILED);
	}
}

/* A stream of changes has no end. */
static bool on_end(void *ctx, bool whole)
{
	return false;
}

static void on_lost(void *ctx, const char *why)
{
	struct watch *w = ctx;

	output_error("lost the server: %s; `cronium vars watch %s --from "
		     "%" PRId64 "` goes on",
		     why, w->key, MAX(w->version, 0));
	api_stream_finish(&w->stream, CLI_FAILED);
}

static void on_refused(void *ctx, const struct api_reply *reply)
{
	struct watch *w = ctx;

	api_explain(w->stream.api, reply, "watch the variable");
	api_stream_finish(&w->stream, CLI_FAILED);
}

static void on_interrupt(void *ctx)
{
	struct watch *w = ctx;

	api_stream_finish(&w->stream, CLI_CANCELLED);
}

static void watch_forget(struct watch *w)
{
	frame_decoder_deinit(&w->decoder);
	w->decoder = (struct frame_decoder){ 0 };
	json_decref(w->change);
	w->change = NULL;
}

static int on_ask(void *ctx, struct buf *path)
{
	struct watch *w = ctx;
	int r = buf_append_str(path, "/v1/changes?key=");

	watch_forget(w);
	if (!r)
		r = percent_append(path, w->key);
	if (!r && w->version >= 0)
		r = buf_printf(path, "&from=%" PRId64, w->version);
	return r;
}

int vars_watch(struct api *api, const char *key, int64_t from)
{
	static const struct api_stream_ops ops = {
		.on_ask = on_ask,
		.on_data = on_data,
		.on_end = on_end,
		.on_lost = on_lost,
		.on_refused = on_refused,
		.on_interrupt = on_interrupt,
	};
	struct watch w = {
		.stream = {
			.api = api,
			.ops = &ops,
			.ctx = &w,
			.accept = FRAME_CONTENT_TYPE,
			.silence_ms = WATCH_SILENCE_MS,
		},
		.key = key,
		.version = from,
	};
	int exit_code = api_stream_run(&w.stream, CLI_FAILED);

	watch_forget(&w);
	return exit_code;
}
