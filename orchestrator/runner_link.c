#include "orchestrator/runner_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "orchestrator/assignment.h"
#include "orchestrator/link.h"
#include "orchestrator/log_queue.h"
#include "orchestrator/outcome.h"
#include "orchestrator/usage.h"

struct runner_link {
	struct frame_stream *stream;
	const struct runner_link_ops *ops;
	void *ctx;
};

static void runner_link_handle_exit(struct runner_link *l,
				    const struct frame *f)
{
	struct outcome_exit how;

	if (outcome_exit_parse(&how, f->payload, f->len) < 0)
		l->ops->on_lost(l->ctx, "its EXIT message is not JSON");
	else
		l->ops->on_exit(l->ctx, &how);
}

static void runner_link_handle_usage(struct runner_link *l,
				     const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);
	struct cgroup_usage live;

	if (!o)
		return;
	cgroup_usage_init(&live);
	usage_parse_live(&live, o);
	l->ops->on_usage(l->ctx, &live);
}

static void runner_link_handle_ready(struct runner_link *l,
				     const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);

	l->ops->on_ready(l->ctx, link_resumed(o), json_get_str(o, "token", ""));
}

static void runner_link_on_frame(struct frame_stream *s, const struct frame *f,
				 void *ctx)
{
	struct runner_link *l = ctx;

	switch (f->type) {
	case FRAME_READY:
		runner_link_handle_ready(l, f);
		break;
	case FRAME_STARTED:
		l->ops->on_started(l->ctx);
		break;
	case FRAME_STDOUT:
	case FRAME_STDERR:
	case FRAME_NOTICE: /* a whole line */
		l->ops->on_output(l->ctx, f->type, f->payload, f->len);
		break;
	case FRAME_USAGE:
		runner_link_handle_usage(l, f);
		break;
	case FRAME_EXIT:
		runner_link_handle_exit(l, f);
		break;
	default: /* of a newer runner */
		break;
	}
}

static void runner_link_on_close(struct frame_stream *s, const char *reason,
				 void *ctx)
{
	struct runner_link *l = ctx;

	l->ops->on_lost(l->ctx, reason);
}

int runner_link_new(struct runner_link **out, struct event_base *base, int fd,
		    const struct runner_link_ops *ops, void *ctx)
{
	static const struct frame_stream_ops stream_ops = {
		.on_frame = runner_link_on_frame,
		.on_close = runner_link_on_close,
	};
	struct runner_link *l = calloc(1, sizeof(*l));
	int r;

	*out = NULL;
	if (!l) {
		close(fd);
		return -ENOMEM;
	}
	l->ops = ops;
	l->ctx = ctx;
	r = frame_stream_new(&l->stream, base, fd, &stream_ops, l);
	if (r < 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

/* The stream lives on until its callback returns, the link is not used by it
 * any more. */
void runner_link_free(struct runner_link *l)
{
	if (!l)
		return;
	frame_stream_close(l->stream);
	free(l);
}

int runner_link_assign(struct runner_link *l, const struct assignment *a,
		       const struct executor_place *place)
{
	struct buf message = { 0 };
	int r;

	r = assignment_for_runner(a, place, &message);
	if (!r)
		r = link_send(l->stream, FRAME_ASSIGN, message.data,
			      message.len);
	if (!r)
		r = link_send(l->stream, FRAME_SCRIPT, a->script.data,
			      a->script.len);
	buf_deinit_secret(&message);
	return r;
}

int runner_link_signal(struct runner_link *l, int signal, unsigned int grace_ms)
{
	char message[64];
	int n = snprintf(message, sizeof(message),
			 "{\"signal\":%d,\"grace_ms\":%u}", signal, grace_ms);

	return link_send(l->stream, FRAME_SIGNAL, message, (size_t)n);
}

static json_t *runner_link_position(const struct log_position *at)
{
	return json_pack("{s:I,s:I,s:I}", "stdout",
			 (json_int_t)at->raw[LOG_STDOUT], "stderr",
			 (json_int_t)at->raw[LOG_STDERR], "notice",
			 (json_int_t)at->raw[LOG_NOTICE]);
}

int runner_link_take_up(struct runner_link *l, const struct assignment *a,
			const struct log_position *taken)
{
	return link_send_json(l->stream, FRAME_RESUME,
			      json_pack("{s:s,s:I,s:o}", "execution",
					a->execution, "epoch",
					(json_int_t)a->epoch, "taken",
					runner_link_position(taken)));
}

int runner_link_taken(struct runner_link *l, const struct log_position *taken)
{
	return link_send_json(l->stream, FRAME_TAKEN,
			      runner_link_position(taken));
}

void runner_link_dismiss(struct runner_link *l)
{
	/* Whom it does not reach ends a while after his stream. */
	(void)!link_send(l->stream, FRAME_DISMISS, NULL, 0);
}

void runner_link_pause(struct runner_link *l)
{
	frame_stream_pause(l->stream);
}

void runner_link_resume(struct runner_link *l)
{
	frame_stream_resume(l->stream);
}
