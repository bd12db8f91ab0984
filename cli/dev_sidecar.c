#include "cli/dev_sidecar.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/frame_stream.h"
#include "common/json.h"

struct dev_sidecar {
	struct frame_stream *stream;
	const struct dev_sidecar_ops *ops;
	void *ctx;
	pid_t pid;
};

/* --- the process ---------------------------------------------------------- */

static void sidecar_exec(const char *program, const char *backend, int fd,
			 pid_t parent)
{
	char control[32], address[256];
	sigset_t none;
	int null;

	/* A group of its own: Ctrl-C is for the script. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fcntl(fd, F_SETFD, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	snprintf(control, sizeof(control), "fd:%d", fd);
	snprintf(address, sizeof(address), "unix:%s", backend);
	execl(program, "cronium-sidecar", "--control", control, "--listen",
	      "127.0.0.1:0", "--backend", address, "--log-level", "error",
	      (char *)NULL);
	dprintf(STDERR_FILENO, "cronium: cannot run %s: %s\n", program,
		strerror(errno));
	_exit(127);
}

/* --- frames --------------------------------------------------------------- */

static void on_ready(struct dev_sidecar *s, const struct frame *f)
{
	char url[300];
	_cleanup_json_ json_t *o = json_parse_object(f->payload, f->len, NULL,
						     0);
	const json_t *listen = json_object_get(o, "listen");
	const char *first = json_string_value(json_array_get(listen, 0));

	snprintf(url, sizeof(url), "http://%s", first ? first : "");
	if (first)
		s->ops->on_ready(url, s->ctx);
	else
		s->ops->on_lost("it does not say where it listens", s->ctx);
}

static void on_redact(struct dev_sidecar *s, const struct frame *f)
{
	if (f->len < sizeof(uint32_t) ||
	    s->ops->on_secret(f->payload + sizeof(uint32_t),
			      f->len - sizeof(uint32_t), s->ctx) < 0)
		return; /* without an ACK nothing is told */
	if (frame_stream_send(s->stream, FRAME_ACK, f->payload,
			      sizeof(uint32_t)) == -ENOMEM)
		s->ops->on_lost("out of memory", s->ctx);
}

static void on_frame(struct frame_stream *stream, const struct frame *f,
		     void *ctx)
{
	struct dev_sidecar *s = ctx;

	switch (f->type) {
	case FRAME_READY:
		on_ready(s, f);
		break;
	case FRAME_ACK:
		s->ops->on_assigned(s->ctx);
		break;
	case FRAME_REDACT:
		on_redact(s, f);
		break;
	case FRAME_DRAINED:
		s->ops->on_drained(s->ctx);
		break;
	default:
		break;
	}
}

static void on_close(struct frame_stream *stream, const char *reason, void *ctx)
{
	struct dev_sidecar *s = ctx;

	s->ops->on_lost(reason, s->ctx);
}

int dev_sidecar_assign(struct dev_sidecar *s, const void *assign,
		       size_t assign_len, const void *input, size_t input_len)
{
	int r = frame_stream_send(s->stream, FRAME_ASSIGN, assign, assign_len);

	return r < 0 ? r
		     : frame_stream_send(s->stream, FRAME_INPUT, input,
					 input_len);
}

int dev_sidecar_drain(struct dev_sidecar *s)
{
	return frame_stream_send(s->stream, FRAME_DRAIN, NULL, 0);
}

/* --- life ----------------------------------------------------------------- */

static int spawn(struct dev_sidecar *s, const char *program,
		 const char *backend, int *fd)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->pid = fork();
	if (s->pid == 0)
		sidecar_exec(program, backend, pair[1], parent);
	close(pair[1]);
	if (s->pid < 0) {
		int r = -errno;

		s->pid = 0;
		close(pair[0]);
		return r;
	}
	fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK);
	*fd = pair[0];
	return 0;
}

int dev_sidecar_start(struct dev_sidecar **out, struct event_base *base,
		      const char *program, const char *backend_socket,
		      const struct dev_sidecar_ops *ops, void *ctx)
{
	static const struct frame_stream_ops stream_ops = {
		.on_frame = on_frame,
		.on_close = on_close,
	};
	struct dev_sidecar *s = calloc(1, sizeof(*s));
	int fd = -1, r;

	if (!s)
		return -ENOMEM;
	s->ops = ops;
	s->ctx = ctx;
	r = spawn(s, program, backend_socket, &fd);
	if (!r)
		r = frame_stream_new(&s->stream, base, fd, &stream_ops, s);
	if (r < 0) {
		dev_sidecar_free(s);
		return r;
	}
	*out = s;
	return 0;
}

pid_t dev_sidecar_pid(const struct dev_sidecar *s)
{
	return s->pid;
}

void dev_sidecar_reaped(struct dev_sidecar *s)
{
	s->pid = 0;
}

void dev_sidecar_free(struct dev_sidecar *s)
{
	if (!s)
		return;
	frame_stream_close(s->stream);
	if (s->pid) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	free(s);
}
