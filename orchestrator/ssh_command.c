#include "orchestrator/ssh_command.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/clock.h"
#include "orchestrator/ssh_channel.h"
#include "orchestrator/ssh_connection.h"

#define SSH_COMMAND_ERROR_BYTES 512

struct ssh_command {
	struct ssh_channel *channel;
	struct bufferevent *bev; /* our side of its stdin and stdout */
	size_t left;             /* of the input, at the last look */
	struct event *stall;
	struct buf out;
	bool over; /* the channel has told how it ended */
	int status;
	char error[SSH_COMMAND_ERROR_BYTES];
	void (*done)(void *ctx, const struct ssh_command_result *r);
	void *ctx;
};

static void ssh_command_set_stall(struct ssh_command *cmd)
{
	const struct timeval tv = clock_timeval(SSH_COMMAND_STALL_MS);

	evtimer_add(cmd->stall, &tv);
}

static void ssh_command_finish(struct ssh_command *cmd)
{
	struct ssh_command_result r = {
		.status = cmd->status,
		.error = cmd->error,
	};

	evtimer_del(cmd->stall);
	bufferevent_disable(cmd->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(cmd->bev, NULL, NULL, NULL, NULL);
	r.out = buf_cstr(&cmd->out);
	if (!r.out)
		r.out = "";
	cmd->done(cmd->ctx, &r);
}

static void ssh_command_set_error(struct ssh_command *cmd,
				  const struct ssh_channel_end *end)
{
	switch (end->cause) {
	case SSH_CHANNEL_ENDED:
		snprintf(cmd->error, sizeof(cmd->error), "exit code %d%s%s",
			 end->status, *end->complaint ? ": " : "",
			 end->complaint);
		break;
	case SSH_CHANNEL_REFUSED:
		snprintf(cmd->error, sizeof(cmd->error),
			 "its sshd opens no session (MaxSessions?)");
		break;
	case SSH_CHANNEL_FAILED:
		snprintf(cmd->error, sizeof(cmd->error),
			 "its sshd runs no command for this user");
		break;
	case SSH_CHANNEL_BROKEN:
		snprintf(cmd->error, sizeof(cmd->error), "%s", end->reason);
		break;
	}
}

/* What it wrote is still in the socket, whose end is told by an event. */
static void ssh_command_on_end(void *ctx, const struct ssh_channel_end *end)
{
	struct ssh_command *cmd = ctx;

	cmd->over = true;
	cmd->status = end->cause == SSH_CHANNEL_ENDED ? end->status : -1;
	ssh_command_set_error(cmd, end);
}

static void ssh_command_on_read(struct bufferevent *bev, void *ctx)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct ssh_command *cmd = ctx;
	char data[1024];
	int n;

	ssh_command_set_stall(cmd);
	while ((n = evbuffer_remove(input, data, sizeof(data))) > 0)
		if (cmd->out.len < SSH_COMMAND_OUTPUT_MAX_BYTES)
			(void)!buf_append(&cmd->out, data, (size_t)n);
}

static void ssh_command_on_write(struct bufferevent *bev, void *ctx)
{
	struct ssh_command *cmd = ctx;

	ssh_command_set_stall(cmd);
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void ssh_command_on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct ssh_command *cmd = ctx;

	ssh_command_on_read(bev, ctx);
	if (!cmd->over) {
		cmd->status = -1;
		snprintf(cmd->error, sizeof(cmd->error),
			 "its output broke off");
	}
	ssh_command_finish(cmd);
}

static void ssh_command_on_stall(int fd, short what, void *ctx)
{
	struct ssh_command *cmd = ctx;
	size_t left = evbuffer_get_length(bufferevent_get_output(cmd->bev));

	if (left < cmd->left) {
		cmd->left = left;
		ssh_command_set_stall(cmd);
		return;
	}
	cmd->status = -1;
	snprintf(cmd->error, sizeof(cmd->error), "it makes no progress");
	ssh_command_finish(cmd);
}

static int ssh_command_open(struct ssh_command *cmd, struct ssh_connection *c,
			    const char *command, const void *input, size_t len)
{
	static const struct ssh_channel_ops ops = {
		.on_end = ssh_command_on_end,
	};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0)
		return -errno;
	cmd->bev = bufferevent_socket_new(ssh_connection_base(c), fds[0],
					  BEV_OPT_CLOSE_ON_FREE |
						  BEV_OPT_DEFER_CALLBACKS);
	if (!cmd->bev)
		close(fds[0]);
	if (!cmd->bev ||
	    (len && evbuffer_add_reference(bufferevent_get_output(cmd->bev),
					   input, len, NULL, NULL) < 0)) {
		close(fds[1]);
		return -ENOMEM;
	}
	cmd->left = len;
	bufferevent_setcb(cmd->bev, ssh_command_on_read,
			  len ? ssh_command_on_write : NULL,
			  ssh_command_on_event, cmd);
	bufferevent_enable(cmd->bev, EV_READ | EV_WRITE);
	if (!len)
		shutdown(fds[0], SHUT_WR);
	return ssh_channel_exec(&cmd->channel, c, command, fds[1], &ops, cmd);
}

int ssh_command_new(struct ssh_command **out, struct ssh_connection *c,
		    const char *command, const void *input, size_t len,
		    void (*done)(void *ctx, const struct ssh_command_result *r),
		    void *ctx)
{
	struct ssh_command *cmd = calloc(1, sizeof(*cmd));

	*out = NULL;
	if (!cmd)
		return -ENOMEM;
	cmd->done = done;
	cmd->ctx = ctx;
	cmd->stall = evtimer_new(ssh_connection_base(c), ssh_command_on_stall,
				 cmd);
	if (!cmd->stall || ssh_command_open(cmd, c, command, input, len) < 0) {
		ssh_command_free(cmd);
		return -ENOMEM;
	}
	ssh_command_set_stall(cmd);
	*out = cmd;
	return 0;
}

void ssh_command_free(struct ssh_command *cmd)
{
	if (!cmd)
		return;
	ssh_channel_free(cmd->channel);
	if (cmd->bev)
		bufferevent_free(cmd->bev);
	if (cmd->stall)
		event_free(cmd->stall);
	buf_deinit(&cmd->out);
	free(cmd);
}
