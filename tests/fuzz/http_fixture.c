#include "tests/fuzz/http_fixture.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/conn.h"
#include "common/http/server.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_text(const char *s)
{
	for (; *s; s++)
		require((unsigned char)*s >= 0x20 || *s == '\t');
}

static void check_request(const struct http_request *req)
{
	size_t i;

	require(req->method < HTTP_OTHER);
	require(req->path[0] == '/');
	check_text(req->path);
	check_text(req->query);
	for (i = 0; i < req->n_headers; i++) {
		require(req->headers[i].name[0] != '\0');
		require(!strpbrk(req->headers[i].name, " :\t\r\n"));
		check_text(req->headers[i].value);
	}
}

static void on_collected(struct http_exchange *ex, const uint8_t *body,
			 size_t len, void *data)
{
	http_respond(ex, 200, NULL, 0, body, len);
}

static void on_data(struct http_exchange *ex, const uint8_t *piece, size_t len,
		    void *data)
{
	http_respond_write(ex, piece, len);
}

static void on_end(struct http_exchange *ex, void *data)
{
	http_respond_end(ex);
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	const struct http_request *req = http_exchange_request(ex);

	check_request(req);
	switch (req->method) {
	case HTTP_POST:
		http_exchange_collect(ex, 1000, on_collected);
		break;
	case HTTP_PUT:
		http_respond_start(ex, 200, NULL, 0);
		http_exchange_stream(ex, on_data, on_end);
		break;
	case HTTP_DELETE: /* never answered */
		break;
	case HTTP_PATCH:
		http_respond_start(ex, 200, NULL, 0);
		http_respond_abort(ex);
		break;
	default:
		http_respond(ex, 200, NULL, 0, "hello", 5);
	}
}

static void deliver(struct event_base *base, int fd, const uint8_t *data,
		    size_t len, size_t step)
{
	uint8_t sink[4096];

	while (len) {
		ssize_t n = send(fd, data, MIN(len, step), MSG_NOSIGNAL);

		event_base_loop(base, EVLOOP_NONBLOCK);
		while (recv(fd, sink, sizeof(sink), 0) > 0)
			;
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

void http_fixture_run(const void *prefix, size_t prefix_len,
		      const uint8_t *data, size_t len)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct http_peer peer = { .is_unix = true };
	struct event_base *base = event_base_new();
	struct http_server *server;
	int fds[2];

	limits.body_bytes = 4096;
	limits.header_bytes = 4096;
	if (!len || !base ||
	    http_server_new(&server, base, &limits, on_request, NULL) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	server_enter(server);
	server_adopt(server, transport_new_plain(fds[1]), &peer);
	server_leave(server);
	deliver(base, fds[0], prefix, prefix_len, prefix_len);
	deliver(base, fds[0], data + 1, len - 1, data[0] ? data[0] * 8 : 1);
	close(fds[0]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	http_server_free(server);
	event_base_free(base);
}
