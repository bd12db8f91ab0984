#include "orchestrator/ssh_channel.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "orchestrator/ssh_connection.h"

#define SSH_CHANNEL_INPUT_BYTES (64 * 1024)

enum ssh_channel_state {
	SSH_CHANNEL_OPENING,
	SSH_CHANNEL_EXECUTING,
	SSH_CHANNEL_UP,
	SSH_CHANNEL_CLOSING,
	SSH_CHANNEL_GONE,
};

struct ssh_channel {
	struct ssh_stream stream;
	struct ssh_task task; /* opening, then executing */
	enum ssh_channel_state state;
	struct ssh_connection *connection;
	LIBSSH2_CHANNEL *raw;
	char *command; /* NULL: a forwarded connection */
	struct bufferevent *local;
	bool queued;                /* the task is with the connection */
	bool local_eof, eof_sent;   /* local → host */
	bool remote_eof, shut_down; /* host → local */
	bool owned;  /* by who made it; else it goes when it has ended */
	bool ended;  /* which was told */
	bool orphan; /* its connection was freed before it */
	const struct ssh_channel_ops *ops;
	void *ctx;
	struct event *deadline; /* of CLOSING */
	char complaint[SSH_CHANNEL_COMPLAINT_BYTES];
	size_t complaint_len;
};

static void ssh_channel_wake(struct ssh_channel *ch)
{
	if (ch->connection)
		ssh_connection_wake(ch->connection);
}

/* --- the end -------------------------------------------------------------- */

/* Only what is good for a line of a log. */
static const char *ssh_channel_last_line(struct ssh_channel *ch)
{
	char *line = ch->complaint, *p;
	size_t n = ch->complaint_len;

	while (n && (unsigned char)line[n - 1] <= ' ')
		n--;
	line[n] = '\0';
	p = strrchr(line, '\n');
	if (p)
		line = p + 1;
	for (p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return line;
}

static void ssh_channel_tell(struct ssh_channel *ch,
			     enum ssh_channel_cause cause, int status,
			     const char *reason)
{
	struct ssh_channel_end end = {
		.cause = cause,
		.status = status,
		.reason = reason,
	};

	if (ch->ended)
		return;
	ch->ended = true;
	if (!ch->owned || !ch->ops)
		return;
	end.complaint = ssh_channel_last_line(ch);
	ch->ops->on_end(ch->ctx, &end);
}

static int ssh_channel_status(struct ssh_channel *ch)
{
	static const char *const signals[] = {
		[1] = "HUP",   [2] = "INT",   [3] = "QUIT",  [4] = "ILL",
		[6] = "ABRT",  [8] = "FPE",   [9] = "KILL",  [11] = "SEGV",
		[13] = "PIPE", [14] = "ALRM", [15] = "TERM",
	};
	char *signal = NULL;
	int status = -1;

	(void)libssh2_channel_get_exit_signal(ch->raw, &signal, NULL, NULL,
					      NULL, NULL, NULL);
	if (!signal)
		return libssh2_channel_get_exit_status(ch->raw);
	for (size_t i = 1; i < ARRAY_SIZE(signals); i++)
		if (signals[i] && !strcmp(signals[i], signal))
			status = 128 + (int)i;
	libssh2_free(ssh_connection_session(ch->connection), signal);
	return status;
}

/* What is for the local side and fits into its socket is given to it. */
static void ssh_channel_drop_local(struct ssh_channel *ch)
{
	struct evbuffer *output;

	if (!ch->local)
		return;
	output = bufferevent_get_output(ch->local);
	bufferevent_disable(ch->local, EV_READ | EV_WRITE);
	if (evbuffer_get_length(output)) {
		evbuffer_unfreeze(output, 1);
		(void)evbuffer_write(output, bufferevent_getfd(ch->local));
	}
	bufferevent_free(ch->local);
	ch->local = NULL;
}

static void ssh_channel_on_late(int fd, short what, void *ctx);

static void ssh_channel_close(struct ssh_channel *ch)
{
	const struct timeval tv = clock_timeval(SSH_CHANNEL_CLOSE_MS);

	if (ch->state >= SSH_CHANNEL_CLOSING)
		return;
	/* A task that is under way must be brought to its end. */
	if (ch->queued)
		return;
	ch->state = ch->raw ? SSH_CHANNEL_CLOSING : SSH_CHANNEL_GONE;
	if (ch->state == SSH_CHANNEL_CLOSING)
		evtimer_add(ch->deadline, &tv);
	ssh_channel_wake(ch);
}

static void ssh_channel_on_late(int fd, short what, void *ctx)
{
	struct ssh_channel *ch = ctx;

	/* libssh2 keeps it until the session ends, so do we; the owner need
	 * not wait. */
	ssh_channel_tell(ch, SSH_CHANNEL_BROKEN, -1,
			 "the host does not close a channel");
	ssh_channel_drop_local(ch);
}

static void ssh_channel_step_closing(struct ssh_channel *ch)
{
	int r = libssh2_channel_close(ch->raw), status;

	/* Where it fails the connection has: broken() tells, and why. */
	if (r < 0)
		return;
	status = ssh_channel_status(ch);
	if (libssh2_channel_free(ch->raw) == LIBSSH2_ERROR_EAGAIN)
		return;
	ch->raw = NULL;
	ch->state = SSH_CHANNEL_GONE;
	evtimer_del(ch->deadline);
	ssh_channel_tell(ch, SSH_CHANNEL_ENDED, status, "");
	ssh_channel_drop_local(ch);
}

/* --- local → host --------------------------------------------------------- */

static void ssh_channel_pump_out(struct ssh_channel *ch)
{
	struct evbuffer *input = bufferevent_get_input(ch->local);
	size_t n, room;

	while ((n = evbuffer_get_length(input)) &&
	       (room = ssh_connection_room(ch->connection))) {
		ssize_t wrote;

		n = MIN(MIN(n, room), SSH_CHANNEL_READ_BYTES);
		wrote = libssh2_channel_write(
			ch->raw, (char *)evbuffer_pullup(input, (ssize_t)n), n);
		if (wrote > 0) {
			evbuffer_drain(input, (size_t)wrote);
		} else if (!wrote || wrote == LIBSSH2_ERROR_EAGAIN) {
			return;
		} else {
			ssh_channel_close(ch);
			return;
		}
	}
	if (n || !ch->local_eof || ch->eof_sent)
		return;
	if (libssh2_channel_send_eof(ch->raw) != LIBSSH2_ERROR_EAGAIN)
		ch->eof_sent = true;
}

/* --- host → local --------------------------------------------------------- */

/* Keeps the last bytes. */
static void ssh_channel_note(struct ssh_channel *ch, const char *data, size_t n)
{
	size_t max = sizeof(ch->complaint) - 1, keep;

	if (n > max) {
		data += n - max;
		n = max;
	}
	keep = MIN(ch->complaint_len, max - n);
	memmove(ch->complaint, ch->complaint + ch->complaint_len - keep, keep);
	memcpy(ch->complaint + keep, data, n);
	ch->complaint_len = keep + n;
}

static void ssh_channel_pump_errors(struct ssh_channel *ch)
{
	char data[1024];
	ssize_t n;

	while ((n = libssh2_channel_read_stderr(ch->raw, data, sizeof(data))) >
	       0)
		ssh_channel_note(ch, data, (size_t)n);
}

/* What has come is taken whole, or libssh2's queue would grow with each
 * piece; then nothing more until the local side has taken that. */
static void ssh_channel_pump_in(struct ssh_channel *ch)
{
	char data[SSH_CHANNEL_READ_BYTES];
	ssize_t n = 0;

	if (ch->local && evbuffer_get_length(bufferevent_get_output(ch->local)))
		return;
	while (!ch->remote_eof &&
	       (n = libssh2_channel_read(ch->raw, data, sizeof(data))) > 0)
		if (ch->local &&
		    bufferevent_write(ch->local, data, (size_t)n) < 0)
			ssh_channel_drop_local(ch);
	if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
		ssh_channel_close(ch);
	ssh_channel_pump_errors(ch);
	if (libssh2_channel_eof(ch->raw) == 1)
		ch->remote_eof = true;
}

static bool ssh_channel_delivered(const struct ssh_channel *ch)
{
	return !ch->local ||
	       !evbuffer_get_length(bufferevent_get_output(ch->local));
}

/* A command that has closed its output has ended; a connection may be half
 * closed. */
static void ssh_channel_check_over(struct ssh_channel *ch)
{
	if (!ch->remote_eof || !ssh_channel_delivered(ch))
		return;
	if (ch->command || !ch->local || ch->eof_sent) {
		ssh_channel_close(ch);
	} else if (!ch->shut_down) {
		ch->shut_down = true;
		shutdown(bufferevent_getfd(ch->local), SHUT_WR);
	}
}

static void ssh_channel_on_pump(struct ssh_stream *s)
{
	struct ssh_channel *ch = CONTAINER_OF(s, struct ssh_channel, stream);

	if (ch->state == SSH_CHANNEL_UP) {
		ssh_channel_pump_in(ch);
		if (ch->local && ch->state == SSH_CHANNEL_UP)
			ssh_channel_pump_out(ch);
		if (ch->state == SSH_CHANNEL_UP)
			ssh_channel_check_over(ch);
	}
	if (ch->state == SSH_CHANNEL_CLOSING)
		ssh_channel_step_closing(ch);
}

/* --- the local side ------------------------------------------------------- */

static void ssh_channel_on_local_io(struct bufferevent *bev, void *ctx)
{
	ssh_channel_wake(ctx);
}

static void ssh_channel_on_local_event(struct bufferevent *bev, short what,
				       void *ctx)
{
	struct ssh_channel *ch = ctx;

	ch->local_eof = true;
	if (what & BEV_EVENT_ERROR) { /* nobody is there any more */
		ssh_channel_drop_local(ch);
		ssh_channel_close(ch);
	}
	ssh_channel_wake(ch);
}

/* --- opening -------------------------------------------------------------- */

static void ssh_channel_up(struct ssh_channel *ch)
{
	ch->state = SSH_CHANNEL_UP;
	if (ch->local)
		bufferevent_enable(ch->local, EV_READ | EV_WRITE);
	if (ch->owned && ch->ops && ch->ops->on_open)
		ch->ops->on_open(ch->ctx);
	ssh_channel_wake(ch);
}

static int ssh_channel_step_task(struct ssh_task *t, LIBSSH2_SESSION *session)
{
	struct ssh_channel *ch = CONTAINER_OF(t, struct ssh_channel, task);

	if (ch->state == SSH_CHANNEL_OPENING) {
		ch->raw = libssh2_channel_open_ex(
			session, "session", sizeof("session") - 1,
			SSH_CHANNEL_WINDOW_BYTES,
			LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
		if (!ch->raw)
			return libssh2_session_last_errno(session);
		ch->state = SSH_CHANNEL_EXECUTING;
	}
	return libssh2_channel_process_startup(
		ch->raw, "exec", sizeof("exec") - 1, ch->command,
		(unsigned int)strlen(ch->command));
}

static void ssh_channel_on_task_done(struct ssh_task *t, int r)
{
	struct ssh_channel *ch = CONTAINER_OF(t, struct ssh_channel, task);
	bool refused = ch->state == SSH_CHANNEL_OPENING;

	ch->queued = false;
	if (r == LIBSSH2_ERROR_SOCKET_DISCONNECT)
		return; /* broken() tells */
	if (!r && ch->owned) {
		ssh_channel_up(ch);
		return;
	}
	if (r < 0)
		ssh_channel_tell(ch,
				 refused ? SSH_CHANNEL_REFUSED
					 : SSH_CHANNEL_FAILED,
				 -1, "");
	ssh_channel_close(ch);
}

/* --- life ----------------------------------------------------------------- */

static void ssh_channel_on_broken(struct ssh_stream *s, const char *reason)
{
	struct ssh_channel *ch = CONTAINER_OF(s, struct ssh_channel, stream);

	ch->raw = NULL;
	ch->queued = false;
	ch->state = SSH_CHANNEL_GONE;
	evtimer_del(ch->deadline);
	ssh_channel_tell(ch, SSH_CHANNEL_BROKEN, -1, reason);
	ssh_channel_drop_local(ch);
	ch->connection = NULL;
}

static bool ssh_channel_is_gone(const struct ssh_stream *s)
{
	const struct ssh_channel *ch = CONTAINER_OF(s, struct ssh_channel,
						    stream);

	return ch->state == SSH_CHANNEL_GONE && !ch->owned;
}

static void ssh_channel_destroy(struct ssh_channel *ch)
{
	if (ch->local)
		bufferevent_free(ch->local);
	if (ch->deadline)
		event_free(ch->deadline);
	free(ch->command);
	free(ch);
}

static void ssh_channel_on_free(struct ssh_stream *s)
{
	struct ssh_channel *ch = CONTAINER_OF(s, struct ssh_channel, stream);

	if (ch->owned)
		ch->orphan = true;
	else
		ssh_channel_destroy(ch);
}

/* A request of which the host knows nothing, but has to say so: libssh2 has
 * no use for the answer to its own keep-alive, and keeps it for ever. */
static int ssh_channel_on_ping(struct ssh_stream *s)
{
	struct ssh_channel *ch = CONTAINER_OF(s, struct ssh_channel, stream);

	if (ch->state != SSH_CHANNEL_UP || !ch->command)
		return LIBSSH2_ERROR_BAD_USE;
	return libssh2_channel_setenv_ex(ch->raw, "CRONIUM_PING", 12, "", 0);
}

static struct ssh_channel *ssh_channel_new(struct ssh_connection *c,
					   const char *command, int fd)
{
	static const struct ssh_stream_ops stream_ops = {
		.pump = ssh_channel_on_pump,
		.broken = ssh_channel_on_broken,
		.gone = ssh_channel_is_gone,
		.free = ssh_channel_on_free,
		.ping = ssh_channel_on_ping,
	};
	struct event_base *base = ssh_connection_base(c);
	struct ssh_channel *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		close(fd);
		return NULL;
	}
	ch->stream.ops = &stream_ops;
	ch->connection = c;
	evutil_make_socket_nonblocking(fd);
	ch->local = bufferevent_socket_new(
		base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!ch->local)
		close(fd);
	ch->command = command ? strdup(command) : NULL;
	ch->deadline = evtimer_new(base, ssh_channel_on_late, ch);
	if (!ch->local || !ch->deadline || (command && !ch->command)) {
		ssh_channel_destroy(ch);
		return NULL;
	}
	bufferevent_setcb(ch->local, ssh_channel_on_local_io,
			  ssh_channel_on_local_io, ssh_channel_on_local_event,
			  ch);
	bufferevent_setwatermark(ch->local, EV_READ, 0,
				 SSH_CHANNEL_INPUT_BYTES);
	ssh_connection_attach(c, &ch->stream);
	return ch;
}

int ssh_channel_exec(struct ssh_channel **out, struct ssh_connection *c,
		     const char *command, int fd,
		     const struct ssh_channel_ops *ops, void *ctx)
{
	struct ssh_channel *ch = ssh_channel_new(c, command, fd);

	*out = ch;
	if (!ch)
		return -ENOMEM;
	ch->owned = true;
	ch->ops = ops;
	ch->ctx = ctx;
	ch->task.step = ssh_channel_step_task;
	ch->task.done = ssh_channel_on_task_done;
	ch->queued = true;
	ssh_connection_queue(c, &ch->task);
	return 0;
}

int ssh_channel_pump(struct ssh_connection *c, LIBSSH2_CHANNEL *raw, int fd)
{
	struct ssh_channel *ch = ssh_channel_new(c, NULL, fd);

	if (!ch)
		return -ENOMEM;
	ch->raw = raw;
	ssh_channel_up(ch);
	return 0;
}

void ssh_channel_finish(struct ssh_channel *ch)
{
	ch->local_eof = true;
	ssh_channel_wake(ch);
}

void ssh_channel_free(struct ssh_channel *ch)
{
	if (!ch)
		return;
	if (ch->orphan) {
		ssh_channel_destroy(ch);
		return;
	}
	ch->owned = false;
	ssh_channel_drop_local(ch);
	ssh_channel_close(ch);
	ssh_channel_wake(ch);
}
