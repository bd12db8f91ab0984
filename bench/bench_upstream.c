/*
 * What stands behind a sidecar, as small and fast as it can be: the
 * orchestrator's end of the control stream, and a backend that answers every
 * call from memory, so that a benchmark sees the sidecar alone. Peers (haproxy,
 * nghttpx) stand in front of the same socket.
 *
 *     bench_upstream DIR
 *
 * Makes DIR/control.sock and DIR/backend.sock. Each line of stdout is a JSON
 * object: {"token"} once it serves, {"listen"} of a sidecar that said READY,
 * {"assigned"} when that has taken its assignment. Ends with its stdin.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/http/server.h"
#include "common/json.h"
#include "common/token.h"

#define EXECUTION "ex_01j0000000000000000000000a"
#define JOB "job_01j0000000000000000000000a"
#define TOKEN_LIFE_S 3600
#define BACKLOG 16
/* The same bytes that nginx returns. */
#define VALUE "\"a value of fifty bytes, as a key or an URL would be\""
#define CONDITION "true"

struct upstream {
	struct event_base *base;
	struct http_server *server;
	struct token_key *key;
	struct buf public_pem, runtime_token, backend_token;
	struct event *accept, *stdin_end;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_upstream: %s\n", what);
	exit(1);
}

/* --- the backend ---------------------------------------------------------- */

/* As of the only version; nothing ever changes. */
static void start_changes(struct http_exchange *ex)
{
	static const struct http_header type = { "Content-Type",
						 FRAME_CONTENT_TYPE };
	static const char position[] = "{\"version\":1,\"reset\":false}";
	_cleanup_(buf_deinit) struct buf frames = { 0 };

	if (frame_append(&frames, FRAME_POSITION, position,
			 sizeof(position) - 1) < 0)
		die("out of memory");
	http_respond_start(ex, 200, &type, 1);
	http_respond_write(ex, frames.data, frames.len);
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	static const struct http_header headers[] = {
		{ "Content-Type", "application/json" },
		{ "ETag", "\"1\"" },
	};
	const char *path = http_exchange_request(ex)->path;

	if (!strcmp(path, "/v1/runtime/changes"))
		start_changes(ex);
	else if (strstr(path, "/variables/"))
		http_respond(ex, 200, headers, 2, VALUE, sizeof(VALUE) - 1);
	else
		http_respond(ex, 200, headers, 1, CONDITION,
			     sizeof(CONDITION) - 1);
}

/* --- the orchestrator ----------------------------------------------------- */

static json_t *assignment(const struct upstream *u)
{
	return json_pack("{s:s,s:s,s:s,s:s%,s:s%,s:{},s:i,s:{s:i,s:i}}",
			 "execution", EXECUTION, "job", JOB, "issuer",
			 "cronium", "backend_token", u->backend_token.data,
			 u->backend_token.len, "public_key", u->public_pem.data,
			 u->public_pem.len, "context", "input_bytes", 4,
			 "limits", "forward_per_min", 0, "tools_per_min", 0);
}

static void assign(const struct upstream *u, struct frame_stream *s)
{
	_cleanup_(buf_deinit) struct buf text = { 0 };
	_cleanup_json_ json_t *o = assignment(u);

	if (!o || json_append(&text, o) < 0 ||
	    frame_stream_send(s, FRAME_ASSIGN, text.data, text.len) < 0 ||
	    frame_stream_send(s, FRAME_INPUT, "null", 4) < 0)
		die("cannot assign");
}

static void on_frame(struct frame_stream *s, const struct frame *f, void *ctx)
{
	if (f->type == FRAME_READY) {
		printf("%.*s\n", (int)f->len, (const char *)f->payload);
		assign(ctx, s);
	} else if (f->type == FRAME_ACK) {
		puts("{\"assigned\":true}");
	} else if (f->type == FRAME_REDACT && f->len >= 4 &&
		   frame_stream_send(s, FRAME_ACK, f->payload, 4) < 0) {
		die("cannot acknowledge");
	} else if (f->type == FRAME_DRAINED) {
		frame_stream_close(s);
	}
	fflush(stdout);
}

static void on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	frame_stream_close(s);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	static const struct frame_stream_ops ops = {
		.on_frame = on_frame,
		.on_close = on_close,
	};
	struct upstream *u = arg;
	struct frame_stream *s;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && frame_stream_new(&s, u->base, fd, &ops, u) < 0)
		die("cannot open a control stream");
}

/* --- the program ---------------------------------------------------------- */

static void mint(const struct upstream *u, const char *audience,
		 struct buf *out)
{
	char *all[] = { (char *)"*" };
	int64_t now_s = clock_wall_s();
	const struct token_claims claims = {
		.issuer = (char *)"cronium",
		.audience = (char *)audience,
		.subject = (char *)EXECUTION,
		.job = (char *)JOB,
		.id = (char *)"tok_bench",
		.issued_s = now_s,
		.not_before_s = now_s,
		.expires_s = now_s + TOKEN_LIFE_S,
		.scopes = TOKEN_SCOPE_ALL,
		.vars_read = { all, 1 },
		.vars_write = { all, 1 },
	};

	if (token_mint(u->key, &claims, out) < 0)
		die("cannot mint a token");
}

static int listen_control(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("the directory's path is too long for a socket");
	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("cannot listen for control streams");
	return fd;
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
	char piece[64];

	if (read(fd, piece, sizeof(piece)) <= 0)
		event_base_loopbreak(arg);
}

static void make_tokens(struct upstream *u)
{
	if (token_key_generate(&u->key) < 0 ||
	    token_key_public_pem(u->key, &u->public_pem) < 0)
		die("cannot make a key");
	mint(u, "runtime", &u->runtime_token);
	mint(u, "backend", &u->backend_token);
}

static void serve(struct upstream *u, const char *dir)
{
	char path[256];

	u->base = event_base_new();
	snprintf(path, sizeof(path), "%s/backend.sock", dir);
	if (!u->base ||
	    http_server_new(&u->server, u->base, NULL, on_request, u) < 0 ||
	    http_server_listen_unix(u->server, path, 0600, NULL) < 0)
		die("cannot serve");
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	u->accept = event_new(u->base, listen_control(path),
			      EV_READ | EV_PERSIST, on_accept, u);
	u->stdin_end = event_new(u->base, STDIN_FILENO, EV_READ | EV_PERSIST,
				 on_stdin, u->base);
	if (!u->accept || !u->stdin_end || event_add(u->accept, NULL) < 0 ||
	    event_add(u->stdin_end, NULL) < 0)
		die("out of memory");
}

int main(int argc, char **argv)
{
	struct upstream u = { 0 };

	if (argc != 2)
		die("usage: bench_upstream DIR");
	make_tokens(&u);
	serve(&u, argv[1]);
	printf("{\"token\":\"%.*s\"}\n", (int)u.runtime_token.len,
	       (const char *)u.runtime_token.data);
	fflush(stdout);
	event_base_dispatch(u.base);
	return 0;
}
