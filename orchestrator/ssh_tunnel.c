#include "orchestrator/ssh_tunnel.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "orchestrator/ssh_channel.h"
#include "orchestrator/ssh_connection.h"

enum ssh_tunnel_state {
	SSH_TUNNEL_OPENING,
	SSH_TUNNEL_UP,
	SSH_TUNNEL_CLOSING,
	SSH_TUNNEL_GONE,
};

struct ssh_tunnel {
	struct ssh_stream stream;
	struct ssh_task task; /* listening, later cancelling */
	enum ssh_tunnel_state state;
	struct ssh_connection *connection;
	LIBSSH2_LISTENER *raw;
	int port;
	bool owned;  /* by who made it */
	bool orphan; /* its connection was freed before it */
	const struct ssh_tunnel_ops *ops;
	void *ctx;
};

/* --- closing -------------------------------------------------------------- */

static int ssh_tunnel_step_cancel(struct ssh_task *task,
				  LIBSSH2_SESSION *session)
{
	struct ssh_tunnel *t = CONTAINER_OF(task, struct ssh_tunnel, task);

	return libssh2_channel_forward_cancel(t->raw);
}

static void ssh_tunnel_on_cancelled(struct ssh_task *task, int r)
{
	struct ssh_tunnel *t = CONTAINER_OF(task, struct ssh_tunnel, task);

	if (r != LIBSSH2_ERROR_SOCKET_DISCONNECT)
		t->raw = NULL;
	t->state = SSH_TUNNEL_GONE;
}

static void ssh_tunnel_close(struct ssh_tunnel *t)
{
	if (t->state != SSH_TUNNEL_UP)
		return;
	t->state = SSH_TUNNEL_CLOSING;
	t->task.step = ssh_tunnel_step_cancel;
	t->task.done = ssh_tunnel_on_cancelled;
	ssh_connection_queue(t->connection, &t->task);
}

/* --- opening -------------------------------------------------------------- */

static int ssh_tunnel_step_listen(struct ssh_task *task,
				  LIBSSH2_SESSION *session)
{
	struct ssh_tunnel *t = CONTAINER_OF(task, struct ssh_tunnel, task);

	t->raw = libssh2_channel_forward_listen_ex(session, "127.0.0.1", 0,
						   &t->port,
						   SSH_TUNNEL_QUEUE_MAX);
	return t->raw ? 0 : libssh2_session_last_errno(session);
}

static void ssh_tunnel_on_listening(struct ssh_task *task, int r)
{
	struct ssh_tunnel *t = CONTAINER_OF(task, struct ssh_tunnel, task);

	if (r == LIBSSH2_ERROR_SOCKET_DISCONNECT)
		return;
	t->state = t->raw ? SSH_TUNNEL_UP : SSH_TUNNEL_GONE;
	if (!t->owned)
		ssh_tunnel_close(t);
	else
		t->ops->on_open(t->ctx, t->raw ? (uint16_t)t->port : 0);
}

/* --- connections ---------------------------------------------------------- */

static void ssh_tunnel_accept(struct ssh_tunnel *t, LIBSSH2_CHANNEL *raw)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0) {
		/* Refused in the only way there is now. */
		(void)libssh2_channel_free(raw);
		return;
	}
	if (ssh_channel_pump(t->connection, raw, fds[0]) < 0) {
		(void)libssh2_channel_free(raw);
		close(fds[1]);
		return;
	}
	t->ops->on_connection(t->ctx, fds[1]);
}

static void ssh_tunnel_on_pump(struct ssh_stream *s)
{
	struct ssh_tunnel *t = CONTAINER_OF(s, struct ssh_tunnel, stream);
	LIBSSH2_CHANNEL *raw;

	while (t->state == SSH_TUNNEL_UP && t->owned &&
	       (raw = libssh2_channel_forward_accept(t->raw)))
		ssh_tunnel_accept(t, raw);
}

/* --- life ----------------------------------------------------------------- */

static void ssh_tunnel_on_broken(struct ssh_stream *s, const char *reason)
{
	struct ssh_tunnel *t = CONTAINER_OF(s, struct ssh_tunnel, stream);

	t->raw = NULL;
	t->state = SSH_TUNNEL_GONE;
}

static bool ssh_tunnel_is_gone(const struct ssh_stream *s)
{
	const struct ssh_tunnel *t = CONTAINER_OF(s, struct ssh_tunnel, stream);

	return t->state == SSH_TUNNEL_GONE && !t->owned;
}

static void ssh_tunnel_on_free(struct ssh_stream *s)
{
	struct ssh_tunnel *t = CONTAINER_OF(s, struct ssh_tunnel, stream);

	if (t->owned)
		t->orphan = true;
	else
		free(t);
}

int ssh_tunnel_new(struct ssh_tunnel **out, struct ssh_connection *c,
		   const struct ssh_tunnel_ops *ops, void *ctx)
{
	static const struct ssh_stream_ops stream_ops = {
		.pump = ssh_tunnel_on_pump,
		.broken = ssh_tunnel_on_broken,
		.gone = ssh_tunnel_is_gone,
		.free = ssh_tunnel_on_free,
	};
	struct ssh_tunnel *t = calloc(1, sizeof(*t));

	*out = t;
	if (!t)
		return -ENOMEM;
	t->stream.ops = &stream_ops;
	t->task.step = ssh_tunnel_step_listen;
	t->task.done = ssh_tunnel_on_listening;
	t->connection = c;
	t->owned = true;
	t->ops = ops;
	t->ctx = ctx;
	ssh_connection_attach(c, &t->stream);
	ssh_connection_queue(c, &t->task);
	return 0;
}

void ssh_tunnel_free(struct ssh_tunnel *t)
{
	if (!t)
		return;
	t->owned = false;
	if (t->orphan) {
		free(t);
		return;
	}
	ssh_tunnel_close(t);
}
