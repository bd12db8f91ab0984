#include "orchestrator/ssh_sidecar.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/door_message.h"
#include "common/unix_socket.h"
#include "orchestrator/sidecar_process.h"
#include "orchestrator/ssh_pod.h"

#define SSH_SIDECAR_REASON_BYTES 128

struct ssh_sidecar {
	struct sandbox_process process; /* pid 0: none, or reaped */
	struct event *ended;
	int control; /* until it is taken */
	int door;    /* the same */
	int serve;   /* another descriptor of the door, ours for good */
	void (*on_ended)(void *ctx, const char *reason);
	void *ctx;
};

static void ssh_sidecar_on_ended(int fd, short what, void *ctx)
{
	char reason[SSH_SIDECAR_REASON_BYTES];
	struct ssh_sidecar *s = ctx;
	int status = sandbox_process_reap(&s->process);

	if (status < 0)
		return;
	event_del(s->ended);
	snprintf(reason, sizeof(reason),
		 "the sidecar ended by %s %d: its log says why",
		 WIFSIGNALED(status) ? "signal" : "exit code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	s->on_ended(s->ctx, reason);
}

/* --- a process of its own ------------------------------------------------- */

static int ssh_sidecar_open_door(struct ssh_sidecar *s, int *theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, fds) < 0)
		return -errno;
	s->door = fds[0];
	*theirs = fds[1];
	s->serve = fcntl(s->door, F_DUPFD_CLOEXEC, 0);
	return s->serve < 0 ? -errno : 0;
}

static int ssh_sidecar_start(struct ssh_sidecar *s,
			     const struct ssh_sidecar_spec *spec)
{
	const struct ssh_pod_shared *shared = spec->shared;
	_cleanup_close_ int door = -1;
	int r = spec->door ? ssh_sidecar_open_door(s, &door) : 0;

	if (r < 0)
		return r;
	r = sidecar_process_start(
		&(struct sidecar_process_spec){
			.exec_fd = shared->sidecar_fd,
			.null_fd = shared->null_fd,
			.backend_fd = shared->backend_fd,
			.listen_fd = -1,
			.proxy_fd = -1,
			.again_fd = -1,
			.door_fd = door,
			.log_level = shared->log_level,
			.log_format = shared->log_format,
			.root = shared->root,
		},
		&s->process, &s->control);
	if (r < 0)
		return r;
	s->ended = event_new(shared->base, s->process.pidfd,
			     EV_READ | EV_PERSIST, ssh_sidecar_on_ended, s);
	return s->ended && !event_add(s->ended, NULL) ? 0 : -ENOMEM;
}

/* --- the gateway ---------------------------------------------------------- */

static int ssh_sidecar_dial(const char *run_dir, const char *name,
			    int (*dial)(const struct sockaddr_un *, int))
{
	char dir[PATH_MAX];
	struct sockaddr_un address;
	int r;

	snprintf(dir, sizeof(dir), "%s/gateway", run_dir);
	r = unix_socket_address_in(&address, dir, name);
	return r < 0 ? r : dial(&address, SOCK_NONBLOCK);
}

static int ssh_sidecar_sit(struct ssh_sidecar *s,
			   const struct ssh_sidecar_spec *spec)
{
	const char *run_dir = spec->shared->run_dir;

	s->control = ssh_sidecar_dial(run_dir, "control.sock",
				      unix_socket_connect);
	if (s->control < 0)
		return s->control;
	if (!spec->door)
		return 0;
	s->door = ssh_sidecar_dial(run_dir, "door.sock",
				   unix_socket_connect_packets);
	if (s->door < 0)
		return s->door;
	s->serve = fcntl(s->door, F_DUPFD_CLOEXEC, 0);
	if (s->serve < 0)
		return -errno;
	return door_message_send(
		s->door, json_pack("{s:s}", "execution", spec->execution), -1);
}

/* --- life ----------------------------------------------------------------- */

int ssh_sidecar_new(struct ssh_sidecar **out,
		    const struct ssh_sidecar_spec *spec,
		    void (*on_ended)(void *ctx, const char *reason), void *ctx,
		    char *err, size_t err_size)
{
	struct ssh_sidecar *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->control = s->door = s->serve = s->process.pidfd = -1;
	s->on_ended = on_ended;
	s->ctx = ctx;
	r = spec->gateway ? ssh_sidecar_sit(s, spec)
			  : ssh_sidecar_start(s, spec);
	if (r < 0) {
		snprintf(err, err_size, "%s: %s",
			 spec->gateway
				 ? "the gateway does not answer (start it with "
				   "'cronium up --gateway')"
				 : "cannot start the sidecar",
			 strerror(-r));
		ssh_sidecar_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void ssh_sidecar_free(struct ssh_sidecar *s)
{
	if (!s)
		return;
	if (s->ended)
		event_free(s->ended);
	if (s->process.pid > 0) {
		kill(s->process.pid, SIGKILL);
		/* Killed, it does not keep us waiting. */
		waitpid(s->process.pid, NULL, 0);
	}
	closep(&s->process.pidfd);
	closep(&s->control);
	closep(&s->door);
	closep(&s->serve);
	free(s);
}

static int ssh_sidecar_take(int *from)
{
	int fd = *from;

	*from = -1;
	return fd;
}

int ssh_sidecar_take_control(struct ssh_sidecar *s)
{
	return ssh_sidecar_take(&s->control);
}

int ssh_sidecar_take_door(struct ssh_sidecar *s)
{
	return ssh_sidecar_take(&s->door);
}

/* A script that opens connections faster than the sidecar takes them loses
 * them. */
void ssh_sidecar_serve(struct ssh_sidecar *s, const char *what, int fd)
{
	(void)!door_message_send(s->serve, json_pack("{s:s}", "serve", what),
				 fd);
	close(fd);
}
