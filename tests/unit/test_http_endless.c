/* Requests without an end: which limits do not hold for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/http/server.h"
#include "common/http/server_state.h"
#include "common/http/transport.h"

#define BODY_MAX_BYTES 10
#define IDLE_MS 30
#define PATIENCE_MS 10000
#define PIECE_BYTES 65536

/* Requests to /endless are, others are not. */
struct fixture {
	struct event_base *base;
	struct http_server *server;
	int endless, other; /* the peers' sockets */
	struct http_exchange *ex;
	size_t body_bytes;
	int ended, endless_closed, other_closed, drained;
};

static void on_data(struct http_exchange *ex, const uint8_t *piece, size_t len,
		    void *data)
{
	struct fixture *f = data;

	f->body_bytes += len;
}

static void on_end(struct http_exchange *ex, void *data)
{
	struct fixture *f = data;

	f->ended++;
}

static void on_drain(struct http_exchange *ex, void *data)
{
	struct fixture *f = data;

	f->drained++;
}

static void on_endless_closed(struct http_exchange *ex, void *data)
{
	struct fixture *f = data;

	f->endless_closed++;
}

static void on_other_closed(struct http_exchange *ex, void *data)
{
	struct fixture *f = data;

	f->other_closed++;
}

/* Writes until the peer takes no more. */
static void fill(struct http_exchange *ex)
{
	static const char piece[PIECE_BYTES] = "";

	http_respond_start(ex, 200, NULL, 0);
	while (http_respond_write(ex, piece, sizeof(piece)))
		;
}

static void on_request(struct http_exchange *ex, void *ctx)
{
	bool endless = !strcmp(http_exchange_request(ex)->path, "/endless");
	struct fixture *f = ctx;

	http_exchange_set_data(ex, f);
	http_exchange_on_close(ex,
			       endless ? on_endless_closed : on_other_closed);
	if (endless) {
		f->ex = ex;
		http_exchange_set_endless(ex);
		http_exchange_on_drain(ex, on_drain);
	}
	if (!strcmp(http_exchange_request(ex)->path, "/full"))
		fill(ex);
	else
		http_exchange_stream(ex, on_data, on_end);
}

static int adopt(struct fixture *f)
{
	struct http_peer peer = { .is_unix = true };
	struct transport *transport;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	transport = transport_new_plain(fds[1]);
	assert_non_null(transport);
	server_adopt(f->server, transport, &peer);
	return fds[0];
}

static int setup(void **state)
{
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct fixture *f = calloc(1, sizeof(*f));

	limits.body_bytes = BODY_MAX_BYTES;
	limits.body_idle_timeout_ms = IDLE_MS;
	limits.write_idle_timeout_ms = IDLE_MS;
	f->base = event_base_new();
	if (http_server_new(&f->server, f->base, &limits, on_request, f) < 0)
		return -1;
	f->endless = adopt(f);
	f->other = adopt(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_server_free(f->server);
	close(f->endless);
	close(f->other);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void send_text(struct fixture *f, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static bool replied(struct fixture *f, int fd, const char *part)
{
	char reply[4096];
	ssize_t n;

	event_base_loop(f->base, EVLOOP_NONBLOCK);
	n = recv(fd, reply, sizeof(reply) - 1, 0);
	reply[MAX(n, 0)] = '\0';
	return strstr(reply, part);
}

static void run_until(struct fixture *f, const int *what)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (!*what && clock_mono_ms() < end)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_true(*what);
}

static void test_length(void **state)
{
	struct fixture *f = *state;

	send_text(f, f->other,
		  "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
	assert_true(replied(f, f->other, " 413 "));
	send_text(f, f->endless,
		  "POST /endless HTTP/1.1\r\nHost: a\r\n"
		  "Content-Length: 22\r\n\r\n0123456789"
		  "0123456789");
	assert_int_equal(f->body_bytes, 20);
	assert_int_equal(f->ended, 0);
	send_text(f, f->endless, "01");
	assert_int_equal(f->ended, 1);
	http_respond(f->ex, 204, NULL, 0, NULL, 0);
	assert_true(replied(f, f->endless, " 204 "));
}

static void test_chunks(void **state)
{
	static const char head[] = "POST %s HTTP/1.1\r\nHost: a\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	static const char chunk[] = "6\r\n012345\r\n";
	struct fixture *f = *state;
	char text[128];

	snprintf(text, sizeof(text), head, "/a");
	send_text(f, f->other, text);
	send_text(f, f->other, chunk);
	send_text(f, f->other, chunk);
	assert_true(replied(f, f->other, " 413 "));
	f->body_bytes = 0;
	snprintf(text, sizeof(text), head, "/endless");
	send_text(f, f->endless, text);
	for (int i = 0; i < 10; i++)
		send_text(f, f->endless, chunk);
	assert_int_equal(f->body_bytes, 60);
	/* The reply may begin, and go on, before the body ends. */
	http_respond_start(f->ex, 200, NULL, 0);
	assert_true(http_respond_write(f->ex, "one", 3));
	assert_true(replied(f, f->endless, "one"));
	send_text(f, f->endless, chunk);
	assert_int_equal(f->body_bytes, 66);
	assert_true(http_respond_write(f->ex, "two", 3));
	send_text(f, f->endless, "0\r\n\r\n");
	assert_int_equal(f->ended, 1);
	http_respond_end(f->ex);
	assert_true(replied(f, f->endless, "two\r\n0\r\n\r\n"));
	/* And the connection goes on. */
	snprintf(text, sizeof(text), head, "/a");
	send_text(f, f->endless, text);
	send_text(f, f->endless, "0\r\n\r\n");
	assert_int_equal(f->ended, 2);
	assert_int_equal(f->endless_closed, 0);
}

static void test_a_body_may_rest(void **state)
{
	static const char head[] = "HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 2\r\n\r\n0";
	struct fixture *f = *state;

	send_text(f, f->endless, "POST /endless ");
	send_text(f, f->endless, head);
	send_text(f, f->other, "POST /a ");
	send_text(f, f->other, head);
	run_until(f, &f->other_closed);
	assert_true(replied(f, f->other, " 408 "));
	send_text(f, f->endless, "1");
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->endless_closed, 0);
}

static void test_a_reply_may_rest(void **state)
{
	struct fixture *f = *state;
	char piece[PIECE_BYTES];

	send_text(f, f->endless, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
	fill(f->ex);
	/* After as long a time … */
	send_text(f, f->other, "GET /full HTTP/1.1\r\nHost: a\r\n\r\n");
	run_until(f, &f->other_closed);
	assert_int_equal(f->endless_closed, 0);
	while (!f->drained) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		assert_true(recv(f->endless, piece, sizeof(piece), 0) > 0);
	}
	shutdown(f->endless, SHUT_RDWR);
	run_until(f, &f->endless_closed);
}

static void test_backlog(void **state)
{
	static const char piece[PIECE_BYTES] = "";
	struct fixture *f = *state;
	char sink[PIECE_BYTES];

	send_text(f, f->endless, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
	http_exchange_set_backlog(f->ex, 100);
	http_respond_start(f->ex, 200, NULL, 0);
	while (http_respond_write(f->ex, piece, 10))
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	while (!f->drained) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		assert_true(recv(f->endless, sink, sizeof(sink), 0) > 0);
	}
	/* No more than is to be had. */
	http_exchange_set_backlog(f->ex, SIZE_MAX);
	while (http_respond_write(f->ex, piece, sizeof(piece)))
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_length),          TEST(test_chunks),
		TEST(test_a_body_may_rest), TEST(test_a_reply_may_rest),
		TEST(test_backlog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
