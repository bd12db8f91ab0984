#include "runner/line.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/again.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "common/log.h"
#include "runner/kept.h"
#include "runner/resume.h"

#define LINE_STARTED_BYTES 32
#define LINE_REASON_BYTES 96

enum line_state { LINE_OPEN, LINE_AWAY, LINE_KNOCKING, LINE_LOST };

/* Said once on each stream. */
struct line_word {
	struct buf json; /* empty: not yet */
	bool said;
};

struct line {
	enum line_state state;
	struct event_base *base;
	struct frame_stream *stream; /* NULL while AWAY */
	struct sockaddr_un again_address;
	bool has_again;
	struct again *again; /* NULL: the line is not kept */
	uint64_t keep_ms;
	char *execution, *token;
	struct kept kept;
	struct line_word started, exited;
	const struct line_ops *ops;
	void *ctx;
};

static UNUSED bool line_may_follow(enum line_state from, enum line_state to)
{
	switch (from) {
	case LINE_OPEN:
		return to == LINE_AWAY || to == LINE_LOST;
	case LINE_AWAY: /* unassigned, nothing is to be taken up */
		return to != LINE_AWAY;
	case LINE_KNOCKING:
		return to != LINE_KNOCKING;
	case LINE_LOST:
		return false;
	}
	return false;
}

static void line_set_state(struct line *l, enum line_state state)
{
	assert(line_may_follow(l->state, state));
	l->state = state;
}

static void line_close_stream(struct line *l)
{
	frame_stream_close(l->stream);
	l->stream = NULL;
}

static void line_lose(struct line *l, const char *reason)
{
	line_set_state(l, LINE_LOST);
	line_close_stream(l);
	l->ops->on_lost(reason, l->ctx);
}

/* The stream has ended or is of no use; another one is looked for. */
static void line_go_away(struct line *l, const char *reason)
{
	uint64_t silent_ms = frame_stream_silent_ms(l->stream);

	log_warn("-", "the orchestrator is away: %s", reason);
	line_set_state(l, LINE_AWAY);
	line_close_stream(l);
	again_lost(l->again, silent_ms);
}

/* The same, from the loop. */
static void line_leave(struct line *l, const char *reason)
{
	bool was_open = l->state == LINE_OPEN;

	line_go_away(l, reason);
	if (was_open)
		l->ops->on_room(l->ctx);
}

/* --- saying it ------------------------------------------------------------ */

static int line_say_word(struct line *l, enum frame_type type,
			 struct line_word *w)
{
	if (!w->json.len || w->said)
		return 0;
	w->said = true;
	return frame_stream_send(l->stream, type, w->json.data, w->json.len);
}

static int line_say_log(struct line *l)
{
	struct frame f;
	int r = 0;

	while (!r && !frame_stream_full(l->stream) && kept_next(&l->kept, &f))
		r = frame_stream_send(l->stream, f.type, f.payload, f.len);
	return r;
}

/* As much as the stream takes. What a kept line cannot say now it says to
 * another stream; one that broke tells so by itself. */
static int line_say(struct line *l)
{
	int r;

	if (l->state != LINE_OPEN)
		return 0;
	r = line_say_word(l, FRAME_STARTED, &l->started);
	if (!r)
		r = line_say_log(l);
	if (!r && kept_all_sent(&l->kept))
		r = line_say_word(l, FRAME_EXIT, &l->exited);
	if (!r || !l->again)
		return r;
	if (r != -EPIPE)
		line_go_away(l, strerror(-r));
	return 0;
}

int line_log(struct line *l, enum frame_type type, const void *data, size_t len)
{
	int r;

	if (!l->again)
		return frame_stream_send(l->stream, type, data, len);
	r = kept_append(&l->kept, type, data, len);
	return r ? r : line_say(l);
}

size_t line_room(const struct line *l)
{
	if (l->stream && l->state == LINE_OPEN && frame_stream_full(l->stream))
		return 0;
	return l->again ? kept_room(&l->kept) : FRAME_PAYLOAD_MAX_BYTES;
}

static int line_set_word(struct line *l, struct line_word *w, const void *json,
			 size_t len)
{
	int r = buf_append(&w->json, json, len);

	return r ? r : line_say(l);
}

int line_started(struct line *l, pid_t pid)
{
	char json[LINE_STARTED_BYTES];
	int n = snprintf(json, sizeof(json), "{\"pid\":%d}", (int)pid);

	return line_set_word(l, &l->started, json, (size_t)n);
}

int line_exit(struct line *l, const void *json, size_t len)
{
	return line_set_word(l, &l->exited, json, len);
}

void line_usage(struct line *l, const void *json, size_t len)
{
	int r = 0;

	if (l->state == LINE_OPEN && !frame_stream_full(l->stream))
		r = frame_stream_send(l->stream, FRAME_USAGE, json, len);
	if (r < 0 && r != -EPIPE)
		log_error("-", "USAGE is not told: %s", strerror(-r));
}

static int line_say_ready(struct line *l)
{
	_cleanup_json_ json_t *o = json_pack("{s:s, s:i}", "version",
					     CRONIUM_VERSION, "pid",
					     (int)getpid());
	struct buf b = { 0 };
	int r = -ENOMEM;

	if (o && l->execution &&
	    json_object_update_new(o, json_pack("{s:s, s:b, s:s}", "execution",
						l->execution, "resumed", true,
						"token", l->token)) < 0)
		return -ENOMEM;
	if (o)
		r = json_append(&b, o);
	if (!r)
		r = frame_stream_send(l->stream, FRAME_READY, b.data, b.len);
	buf_deinit(&b);
	return r;
}

/* --- taking up ------------------------------------------------------------ */

static int line_tell_gone(struct line *l, uint64_t gone)
{
	char text[LINE_REASON_BYTES];
	int n;

	if (!gone)
		return 0;
	n = snprintf(text, sizeof(text),
		     "%" PRIu64 " bytes of the log are missing: the runner had "
		     "given them up\n",
		     gone);
	return kept_append(&l->kept, FRAME_NOTICE, text, (size_t)n);
}

static void line_take_up(struct line *l, const struct positions *taken)
{
	uint64_t gone = kept_rewind(&l->kept, taken);

	log_info("-", "the orchestrator is back");
	again_taken_up(l->again);
	line_set_state(l, LINE_OPEN);
	l->started.said = l->exited.said = false;
	if (line_tell_gone(l, gone) < 0 || line_say(l) < 0)
		log_error("-", "a notice is lost");
	l->ops->on_room(l->ctx);
}

static void line_accept_resume(struct line *l, const struct frame *f)
{
	struct positions taken;
	int r;

	if (f->type == FRAME_DISMISS) {
		l->ops->on_frame(f, l->ctx);
		return;
	}
	r = f->type == FRAME_RESUME
		    ? resume_parse(&taken, l->execution, f->payload, f->len)
		    : -EINVAL;
	if (r == RESUME_E_OTHER)
		line_leave(l, "it took us for another execution");
	else if (r < 0)
		line_leave(l, "it said no valid RESUME");
	else
		line_take_up(l, &taken);
}

static void line_accept_taken(struct line *l, const struct frame *f)
{
	struct positions taken;

	if (!l->again)
		return;
	if (positions_parse(&taken, f->payload, f->len) < 0) {
		line_leave(l, "it said no valid TAKEN");
		return;
	}
	kept_take(&l->kept, &taken);
	l->ops->on_room(l->ctx);
}

/* --- the stream ----------------------------------------------------------- */

static void line_on_frame(struct frame_stream *s, const struct frame *f,
			  void *ctx)
{
	struct line *l = ctx;

	if (l->state == LINE_KNOCKING)
		line_accept_resume(l, f);
	else if (f->type == FRAME_TAKEN)
		line_accept_taken(l, f);
	else
		l->ops->on_frame(f, l->ctx);
}

static void line_on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	struct line *l = ctx;

	if (l->again)
		line_leave(l, reason);
	else
		line_lose(l, reason);
}

static void line_on_drain(struct frame_stream *s, void *ctx)
{
	struct line *l = ctx;

	if (line_say(l) < 0)
		return; /* on_close follows */
	l->ops->on_room(l->ctx);
}

/* Takes fd. */
static int line_open_stream(struct line *l, int fd)
{
	static const struct frame_stream_ops ops = {
		.on_frame = line_on_frame,
		.on_close = line_on_close,
		.on_drain = line_on_drain,
	};
	int r = frame_stream_new(&l->stream, l->base, fd, &ops, l);

	return r ? r : line_say_ready(l);
}

static void line_on_connected(int fd, void *ctx)
{
	struct line *l = ctx;

	if (line_open_stream(l, fd) < 0) {
		line_close_stream(l);
		again_lost(l->again, 0);
	} else if (l->execution) {
		line_set_state(l, LINE_KNOCKING);
	} else {
		again_taken_up(l->again);
		line_set_state(l, LINE_OPEN);
	}
}

static void line_on_over(void *ctx)
{
	struct line *l = ctx;
	char reason[LINE_REASON_BYTES];

	snprintf(reason, sizeof(reason),
		 "nobody took this job up again within %" PRIu64 " ms",
		 l->keep_ms);
	log_warn("-", "%s", reason);
	line_lose(l, reason);
}

/* --- life ----------------------------------------------------------------- */

/* From now on another stream is looked for, for so long. */
static int line_set_again(struct line *l, uint64_t keep_ms)
{
	static const struct again_ops ops = {
		.on_connected = line_on_connected,
		.on_over = line_on_over,
	};
	const struct again_config config = {
		.base = l->base,
		.address = &l->again_address,
		.keep_ms = keep_ms,
		.ops = &ops,
		.ctx = l,
	};

	again_free(l->again);
	l->again = NULL;
	l->keep_ms = keep_ms;
	return keep_ms ? again_new(&l->again, &config) : 0;
}

int line_new(struct line **out, struct event_base *base, int fd,
	     const struct sockaddr_un *again, const struct line_ops *ops,
	     void *ctx)
{
	struct line *l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		close(fd);
		return -ENOMEM;
	}
	l->base = base;
	l->ops = ops;
	l->ctx = ctx;
	l->has_again = again != NULL;
	if (again)
		l->again_address = *again;
	r = line_open_stream(l, fd);
	if (!r && again)
		r = line_set_again(l, LINE_UNASSIGNED_MS);
	if (r < 0)
		line_free(l);
	else
		*out = l;
	return r;
}

int line_keep(struct line *l, uint64_t keep_ms, const char *execution,
	      const char *token)
{
	if (!l->has_again)
		return 0;
	if (keep_ms) {
		l->execution = strdup(execution);
		l->token = strdup(token);
		if (!l->execution || !l->token)
			return -ENOMEM;
	}
	return line_set_again(l, keep_ms);
}

bool line_is_away(const struct line *l)
{
	return l->state == LINE_AWAY || l->state == LINE_KNOCKING;
}

void line_free(struct line *l)
{
	if (!l)
		return;
	frame_stream_close(l->stream);
	again_free(l->again);
	free(l->execution);
	if (l->token)
		explicit_bzero(l->token, strlen(l->token));
	free(l->token);
	kept_deinit(&l->kept);
	buf_deinit(&l->started.json);
	buf_deinit(&l->exited.json);
	free(l);
}
