#include "orchestrator/sidecar_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/frame_stream.h"
#include "common/json.h"
#include "orchestrator/assignment.h"
#include "orchestrator/link.h"

#define SIDECAR_LINK_ID_BYTES sizeof(uint32_t)

struct sidecar_link {
	struct frame_stream *stream;
	const struct sidecar_link_ops *ops;
	void *ctx;
};

static uint32_t sidecar_link_id(const struct frame *f)
{
	uint32_t id;

	memcpy(&id, f->payload, sizeof(id));
	return ntohl(id);
}

static void sidecar_link_handle_ready(struct sidecar_link *l,
				      const struct frame *f)
{
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);

	l->ops->on_ready(l->ctx, link_resumed(o));
}

static void sidecar_link_on_frame(struct frame_stream *s, const struct frame *f,
				  void *ctx)
{
	struct sidecar_link *l = ctx;
	bool has_id = f->len >= SIDECAR_LINK_ID_BYTES;

	if (f->type == FRAME_READY)
		sidecar_link_handle_ready(l, f);
	else if (f->type == FRAME_ACK && has_id && !sidecar_link_id(f))
		l->ops->on_assigned(l->ctx);
	else if (f->type == FRAME_REDACT && has_id)
		l->ops->on_secret(l->ctx, sidecar_link_id(f),
				  f->payload + SIDECAR_LINK_ID_BYTES,
				  f->len - SIDECAR_LINK_ID_BYTES);
	else if (f->type == FRAME_DRAINED)
		l->ops->on_drained(l->ctx);
}

static void sidecar_link_on_close(struct frame_stream *s, const char *reason,
				  void *ctx)
{
	struct sidecar_link *l = ctx;

	l->ops->on_lost(l->ctx, reason);
}

int sidecar_link_new(struct sidecar_link **out, struct event_base *base, int fd,
		     const struct sidecar_link_ops *ops, void *ctx)
{
	static const struct frame_stream_ops stream_ops = {
		.on_frame = sidecar_link_on_frame,
		.on_close = sidecar_link_on_close,
	};
	struct sidecar_link *l = calloc(1, sizeof(*l));
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
void sidecar_link_free(struct sidecar_link *l)
{
	if (!l)
		return;
	frame_stream_close(l->stream);
	free(l);
}

int sidecar_link_assign(struct sidecar_link *l, const struct assignment *a,
			const char *executor)
{
	struct buf message = { 0 };
	int r;

	r = assignment_for_sidecar(a, executor, &message);
	if (!r)
		r = link_send(l->stream, FRAME_ASSIGN, message.data,
			      message.len);
	if (!r)
		r = link_send(l->stream, FRAME_INPUT, a->input.data,
			      a->input.len);
	buf_deinit_secret(&message);
	return r;
}

int sidecar_link_take_up(struct sidecar_link *l, const struct assignment *a)
{
	return link_send_json(l->stream, FRAME_RESUME,
			      json_pack("{s:s}", "execution", a->execution));
}

void sidecar_link_dismiss(struct sidecar_link *l)
{
	/* Whom it does not reach ends a while after his stream. */
	(void)!link_send(l->stream, FRAME_DISMISS, NULL, 0);
}

int sidecar_link_ack(struct sidecar_link *l, uint32_t id)
{
	uint32_t payload = htonl(id);

	return link_send(l->stream, FRAME_ACK, &payload, sizeof(payload));
}

int sidecar_link_drain(struct sidecar_link *l)
{
	return link_send(l->stream, FRAME_DRAIN, NULL, 0);
}
