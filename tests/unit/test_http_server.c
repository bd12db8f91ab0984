/* The exchange interface, over a socket pair within one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/conn.h"
#include "common/http/reply.h"
#include "common/http/server.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

struct fixture {
	struct event_base *base;
	struct http_server *server;
	int fd;
	struct http_exchange *held; /* a handler that answers later */
	int closed;
	char reply[65536];
};

static void on_closed(struct http_exchange *ex, void *data)
{
	struct fixture *f = data;

	assert_ptr_equal(f->held, ex);
	f->held = NULL;
	f->closed++;
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	struct fixture *f = ctx;

	f->held = ex;
	http_exchange_set_data(ex, f);
	http_exchange_on_close(ex, on_closed);
}

static int setup(void **state)
{
	struct http_peer peer = { .is_unix = true };
	struct fixture *f = calloc(1, sizeof(*f));
	struct transport *transport;
	int fds[2];

	f->base = event_base_new();
	if (http_server_new(&f->server, f->base, NULL, on_request, f) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	f->fd = fds[0];
	transport = transport_new_plain(fds[1]);
	if (!transport)
		return -1;
	server_adopt(f->server, transport, &peer);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_server_free(f->server);
	close(f->fd);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void send_text(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->fd, text, strlen(text), 0), strlen(text));
	run(f);
}

static const char *received(struct fixture *f)
{
	ssize_t n;

	run(f);
	n = recv(f->fd, f->reply, sizeof(f->reply) - 1, 0);
	f->reply[MAX(n, 0)] = '\0';
	return f->reply;
}

static void get(struct fixture *f)
{
	send_text(f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_non_null(f->held);
}

static void test_reply_outside_of_a_callback(void **state)
{
	struct fixture *f = *state;

	get(f);
	http_respond(f->held, 200, NULL, 0, "later", 5);
	assert_non_null(strstr(received(f), "\r\n\r\nlater"));
	get(f);
	http_respond(f->held, 204, NULL, 0, NULL, 0);
	assert_null(strstr(received(f), "Content-Length"));
}

static void test_headers_cannot_split_the_reply(void **state)
{
	static const struct http_header headers[] = {
		{ "X-Good", "1" },          { "X-Bad", "a\r\nX-Evil: 1" },
		{ "X-Evil\r\nX", "1" },     { "", "1" },
		{ "Content-Length", "99" }, { "Transfer-Encoding", "chunked" },
		{ "Connection", "close" },
	};
	struct fixture *f = *state;
	const char *reply;

	get(f);
	http_respond(f->held, 200, headers, ARRAY_SIZE(headers), "x", 1);
	reply = received(f);
	assert_non_null(strstr(reply, "X-Good: 1\r\n"));
	assert_non_null(strstr(reply, "Content-Length: 1\r\n"));
	assert_null(strstr(reply, "X-Evil"));
	assert_null(strstr(reply, "99"));
	assert_null(strstr(reply, "chunked"));
	assert_null(strstr(reply, "close"));
}

static void test_streamed_reply(void **state)
{
	struct fixture *f = *state;

	get(f);
	http_respond_start(f->held, 200, NULL, 0);
	assert_true(http_respond_write(f->held, "one", 3));
	assert_non_null(strstr(received(f), "\r\n\r\n3\r\none\r\n"));
	assert_true(http_respond_write(f->held, "", 0));
	http_respond_end(f->held);
	assert_string_equal(received(f), "0\r\n\r\n");
}

static void test_streamed_reply_cut_short(void **state)
{
	static const struct http_header length = { "content-length", "5" };
	struct fixture *f = *state;

	get(f);
	http_respond_start(f->held, 200, &length, 1);
	http_respond_write(f->held, "four", 4);
	http_respond_end(f->held);
	received(f);
	assert_int_equal(recv(f->fd, f->reply, 1, 0), 0);
	assert_int_equal(f->closed, 0);
}

static void test_full_and_drained(void **state)
{
	static const char piece[100000] = "";
	struct fixture *f = *state;
	int i;

	get(f);
	http_respond_start(f->held, 200, NULL, 0);
	for (i = 0; i < 100; i++) {
		assert_non_null(f->held);
		if (!http_respond_write(f->held, piece, sizeof(piece)))
			break;
		run(f);
	}
	assert_true(i > 0 && i < 100);
}

static void test_peer_gone(void **state)
{
	struct fixture *f = *state;

	get(f);
	http_respond_start(f->held, 200, NULL, 0);
	shutdown(f->fd, SHUT_RDWR);
	run(f);
	assert_int_equal(f->closed, 1);
	assert_null(f->held);
}

/* The handler may be in the middle of something when it writes. */
static void test_out_of_memory_is_told_later(void **state)
{
	volatile size_t too_much = SIZE_MAX / 2;
	struct fixture *f = *state;

	get(f);
	http_respond_start(f->held, 200, NULL, 0);
	http_respond_write(f->held, "x", too_much);
	assert_int_equal(f->closed, 0);
	http_respond_write(f->held, "x", 1);
	run(f);
	assert_int_equal(f->closed, 1);
	assert_int_equal(recv(f->fd, f->reply, 1, 0), 0);
}

static void test_free_tells_the_handler(void **state)
{
	struct fixture *f = *state;

	get(f);
	http_server_free(f->server);
	f->server = NULL;
	assert_int_equal(f->closed, 1);
}

static void on_drained(void *ctx)
{
	struct fixture *f = ctx;

	http_server_free(f->server); /* allowed here */
	f->server = NULL;
}

static void test_drain(void **state)
{
	struct fixture *f = *state;

	get(f);
	http_server_drain(f->server, on_drained, f);
	run(f);
	assert_non_null(f->server);
	http_respond(f->held, 200, NULL, 0, "x", 1);
	assert_non_null(strstr(received(f), "Connection: close"));
	run(f);
	assert_null(f->server);
	assert_int_equal(f->closed, 0);
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct http_server_stats stats;

	get(f);
	http_server_get_stats(f->server, &stats);
	assert_int_equal(stats.connections_open, 1);
	assert_int_equal(stats.exchanges_open, 1);
	assert_int_equal(stats.requests_total, 1);
	http_respond(f->held, 200, NULL, 0, "x", 1);
	run(f);
	http_server_get_stats(f->server, &stats);
	assert_int_equal(stats.exchanges_open, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reply_outside_of_a_callback),
		TEST(test_headers_cannot_split_the_reply),
		TEST(test_streamed_reply),
		TEST(test_streamed_reply_cut_short),
		TEST(test_full_and_drained),
		TEST(test_peer_gone),
		TEST(test_out_of_memory_is_told_later),
		TEST(test_free_tells_the_handler),
		TEST(test_drain),
		TEST(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
