/*
 * A small server for tests/integration/test_http_server.py: every feature of
 * common/http behind a path. Prints "port NUMBER" once it listens; SIGTERM
 * drains it, SIGINT ends it at once.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/http/problem.h"
#include "common/http/router.h"
#include "common/http/server.h"
#include "common/http/tls.h"
#include "common/options.h"

#define PIECE_BYTES 16384

struct options {
	const char *unix_path, *cert, *key;
	uint64_t connections, header_bytes, body_bytes, header_timeout,
		body_timeout, idle_timeout, write_timeout, resets, control,
		reply_bytes;
};

#define OPTION(name, type, field, arg, initial, help)                         \
	{                                                                     \
		name, 0, type, offsetof(struct options, field), arg, initial, \
			help                                                  \
	}

static const struct option_spec OPTIONS[] = {
	OPTION("unix", OPTION_STRING, unix_path, "PATH", NULL, "also here"),
	OPTION("cert", OPTION_STRING, cert, "FILE", NULL, "TLS: certificate"),
	OPTION("key", OPTION_STRING, key, "FILE", NULL, "TLS: its key"),
	OPTION("connections", OPTION_UINT, connections, "N", "1024", "limit"),
	OPTION("header-bytes", OPTION_BYTES, header_bytes, "N", "32k", "limit"),
	OPTION("body-bytes", OPTION_BYTES, body_bytes, "N", "16m", "limit"),
	OPTION("header-timeout", OPTION_DURATION, header_timeout, "D", "10s",
	       "limit"),
	OPTION("body-timeout", OPTION_DURATION, body_timeout, "D", "30s",
	       "limit"),
	OPTION("idle-timeout", OPTION_DURATION, idle_timeout, "D", "75s",
	       "limit"),
	OPTION("write-timeout", OPTION_DURATION, write_timeout, "D", "30s",
	       "limit"),
	OPTION("resets", OPTION_UINT, resets, "N", "200", "limit"),
	OPTION("control", OPTION_UINT, control, "N", "2000", "limit"),
	OPTION("reply-bytes", OPTION_BYTES, reply_bytes, "N", "256m", "limit"),
};

static struct http_server *server;
static unsigned long smuggled, closed, waiting;

static void respond_text(struct http_exchange *ex, const char *text)
{
	static const struct http_header type = { "Content-Type", "text/plain" };

	http_respond(ex, 200, &type, 1, text, strlen(text));
}

static void on_hello(struct http_exchange *ex, const struct http_params *params,
		     void *ctx)
{
	respond_text(ex, "hello\n");
}

static void on_smuggled(struct http_exchange *ex,
			const struct http_params *params, void *ctx)
{
	smuggled++;
	respond_text(ex, "smuggled\n");
}

static void on_stats(struct http_exchange *ex, const struct http_params *params,
		     void *ctx)
{
	struct http_server_stats stats;
	char text[512];

	http_server_get_stats(server, &stats);
	snprintf(text, sizeof(text),
		 "{\"requests\":%llu,\"connections\":%llu,\"refused\":%llu,"
		 "\"open\":%u,\"exchanges\":%u,\"smuggled\":%lu,"
		 "\"closed\":%lu,\"waiting\":%lu}\n",
		 (unsigned long long)stats.requests_total,
		 (unsigned long long)stats.connections_total,
		 (unsigned long long)stats.refused_total,
		 stats.connections_open, stats.exchanges_open, smuggled, closed,
		 waiting);
	respond_text(ex, text);
}

/* --- /echo: collected, sent back ------------------------------------------ */

static void on_collected(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	http_respond(ex, 200, NULL, 0, body, len);
}

static void on_echo(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	http_exchange_collect(ex, UINT64_MAX, on_collected);
}

/* --- /late: the same, decided upon in a later turn of the loop ------------ */

static void on_gone(struct http_exchange *ex, void *data)
{
	closed++;
	if (data)
		event_free(data);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct http_exchange *ex = arg;

	event_free(http_exchange_data(ex));
	http_exchange_set_data(ex, NULL);
	http_exchange_collect(ex, UINT64_MAX, on_collected);
}

static void on_late(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	const char *query = http_exchange_request(ex)->query;
	struct timeval tv = { 0, 20000 };
	struct event *ev;
	char ms[8];

	if (http_query_get(query, "ms", ms, sizeof(ms)) == 1)
		tv.tv_usec = atoi(ms) * 1000L;
	ev = event_new(http_exchange_base(ex), -1, 0, on_later, ex);
	http_exchange_set_data(ex, ev);
	http_exchange_on_close(ex, on_gone);
	event_add(ev, &tv);
}

/* --- /wait: never answered ------------------------------------------------ */

static void on_wait_over(struct http_exchange *ex, void *data)
{
	closed++;
	waiting--;
}

static void on_wait(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	waiting++;
	http_exchange_on_close(ex, on_wait_over);
}

static void on_endless(struct http_exchange *ex,
		       const struct http_params *params, void *ctx)
{
	on_wait(ex, params, ctx);
	http_respond_start(ex, 200, NULL, 0);
	http_respond_write(ex, "x", 1);
}

static void on_abort(struct http_exchange *ex, const struct http_params *params,
		     void *ctx)
{
	http_respond_start(ex, 200, NULL, 0);
	http_respond_write(ex, "half", 4);
	http_respond_abort(ex);
}

/* --- /pipe: streamed in, streamed out ------------------------------------- */

static void on_pipe_data(struct http_exchange *ex, const uint8_t *piece,
			 size_t len, void *data)
{
	if (!http_respond_write(ex, piece, len))
		http_exchange_pause(ex);
}

static void on_pipe_drain(struct http_exchange *ex, void *data)
{
	http_exchange_resume(ex);
}

static void on_pipe_end(struct http_exchange *ex, void *data)
{
	http_respond_end(ex);
}

static void on_pipe(struct http_exchange *ex, const struct http_params *params,
		    void *ctx)
{
	http_exchange_on_drain(ex, on_pipe_drain);
	http_respond_start(ex, 200, NULL, 0);
	http_exchange_stream(ex, on_pipe_data, on_pipe_end);
}

/* --- /abort-body: broken off by the first piece ------------- */

static void on_first_piece(struct http_exchange *ex, const uint8_t *piece,
			   size_t len, void *data)
{
	free(data); /* a second piece would find it gone */
	http_respond_abort(ex);
}

static void on_abort_body(struct http_exchange *ex,
			  const struct http_params *params, void *ctx)
{
	http_exchange_set_data(ex, malloc(1));
	http_exchange_stream(ex, on_first_piece, NULL);
}

/* --- /bytes/{n}: a long reply, made as it is taken ------------------------ */

struct bytes {
	size_t left;
};

static void on_bytes_gone(struct http_exchange *ex, void *data)
{
	closed++;
	free(data);
}

static void on_bytes_drain(struct http_exchange *ex, void *data)
{
	static const char piece[PIECE_BYTES] = "";
	struct bytes *b = data;

	while (b->left) {
		size_t n = MIN(b->left, sizeof(piece));

		b->left -= n;
		if (!http_respond_write(ex, piece, n))
			return;
	}
	free(b);
	http_respond_end(ex);
}

static void on_bytes(struct http_exchange *ex, const struct http_params *params,
		     void *ctx)
{
	const char *n = http_param(params, "n");
	struct http_header length = { "Content-Length", n };
	struct bytes *b = calloc(1, sizeof(*b));
	char sized[8];

	if (!b)
		abort();
	b->left = strtoul(n, NULL, 10);
	http_exchange_set_data(ex, b);
	http_exchange_on_close(ex, on_bytes_gone);
	http_exchange_on_drain(ex, on_bytes_drain);
	http_respond_start(ex, 200, &length,
			   http_query_get(http_exchange_request(ex)->query,
					  "sized", sized, sizeof(sized)) == 1);
	on_bytes_drain(ex, b);
}

/* --- what the request looked like ----------------------------------------- */

static void on_inspect(struct http_exchange *ex,
		       const struct http_params *params, void *ctx)
{
	const struct http_request *req = http_exchange_request(ex);
	_cleanup_(buf_deinit) struct buf b = { 0 };
	size_t i;
	int r;

	r = buf_printf(&b, "path %s\nquery %s\nlength %lld\nparam %s\n",
		       req->path, req->query, (long long)req->content_length,
		       http_param(params, "name"));
	r |= buf_printf(&b, "peer unix=%d tls=%d uid=%d %s\n",
			req->peer->is_unix, req->peer->is_tls,
			(int)req->peer->uid, req->peer->address);
	for (i = 0; i < req->n_headers; i++)
		r |= buf_printf(&b, "%s: %s\n", req->headers[i].name,
				req->headers[i].value);
	if (r)
		abort();
	http_respond(ex, 200, NULL, 0, b.data, b.len);
}

static const struct http_route ROUTES[] = {
	{ HTTP_GET, "/", on_hello, 0 },
	{ HTTP_GET, "/hello", on_hello, 0 },
	{ HTTP_POST, "/early", on_hello, 0 },
	{ HTTP_GET, "/smuggled", on_smuggled, 0 },
	{ HTTP_GET, "/stats", on_stats, 0 },
	{ HTTP_POST, "/echo", on_echo, 0 },
	{ HTTP_GET, "/echo", on_echo, 0 },
	{ HTTP_POST, "/late", on_late, 0 },
	{ HTTP_GET, "/late", on_late, 0 },
	{ HTTP_GET, "/wait", on_wait, 0 },
	{ HTTP_GET, "/endless", on_endless, 0 },
	{ HTTP_GET, "/abort", on_abort, 0 },
	{ HTTP_POST, "/abort-body", on_abort_body, 0 },
	{ HTTP_POST, "/pipe", on_pipe, 0 },
	{ HTTP_GET, "/bytes/{n}", on_bytes, 0 },
	{ HTTP_GET, "/inspect/{name}", on_inspect, 0 },
};

static void on_request(struct http_exchange *ex, void *ctx)
{
	const struct http_route *route;
	struct http_params params;

	route = http_route_find(ROUTES, ARRAY_SIZE(ROUTES), ex, &params);
	if (route)
		route->handler(ex, &params, ctx);
}

/* --- the program ---------------------------------------------------------- */

static void on_drained(void *ctx)
{
	event_base_loopbreak(ctx);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	if (fd == SIGTERM)
		http_server_drain(server, on_drained, arg);
	else
		event_base_loopbreak(arg);
}

static struct http_limits limits_of(const struct options *o)
{
	struct http_limits l = HTTP_LIMITS_DEFAULT;

	l.connections = (uint32_t)o->connections;
	l.header_bytes = (uint32_t)o->header_bytes;
	l.body_bytes = o->body_bytes;
	l.header_timeout_ms = (uint32_t)o->header_timeout;
	l.body_idle_timeout_ms = (uint32_t)o->body_timeout;
	l.idle_timeout_ms = (uint32_t)o->idle_timeout;
	l.write_idle_timeout_ms = (uint32_t)o->write_timeout;
	l.resets_per_10s = (uint32_t)o->resets;
	l.control_frames_per_10s = (uint32_t)o->control;
	l.reply_bytes = o->reply_bytes;
	return l;
}

static int listen_all(const struct options *o, struct http_tls *tls)
{
	uint16_t port;
	int r;

	r = http_server_listen_tcp(server, "127.0.0.1", 0, tls, "tcp", &port);
	if (!r && o->unix_path)
		r = http_server_listen_unix(server, o->unix_path, 0600, "unix");
	if (r < 0) {
		fprintf(stderr, "cannot listen: %s\n", strerror(-r));
		return r;
	}
	printf("port %u\n", port);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct http_tls *tls = NULL;
	struct event_base *base;
	struct event *term, *intr;
	struct http_limits limits;
	struct options o = { 0 };
	char err[256];
	int first, r;

	r = options_parse(OPTIONS, ARRAY_SIZE(OPTIONS), argc, argv, false, &o,
			  &first, err, sizeof(err));
	if (!r && o.cert)
		r = http_tls_new(&tls, o.cert, o.key, err, sizeof(err));
	if (r < 0) {
		fprintf(stderr, "%s\n", err);
		return 2;
	}
	limits = limits_of(&o);
	base = event_base_new();
	term = evsignal_new(base, SIGTERM, on_signal, base);
	intr = evsignal_new(base, SIGINT, on_signal, base);
	event_add(term, NULL);
	event_add(intr, NULL);
	r = http_server_new(&server, base, &limits, on_request, NULL);
	if (!r)
		r = listen_all(&o, tls);
	if (!r)
		event_base_dispatch(base);
	http_server_free(server);
	http_tls_free(tls);
	event_free(term);
	event_free(intr);
	event_base_free(base);
	return r < 0;
}
