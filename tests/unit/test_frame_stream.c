#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after the four headers above */
#include <cmocka.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "common/frame_stream.h"

/* One stream under test (side 0) and its peer: a stream or a bare socket. */
struct peer {
	struct frame_stream *stream;
	struct event_base *base;
	uint64_t bytes, frames, drains;
	unsigned int closes;
	char reason[160];
	uint8_t last_type;
	uint64_t pause_after; /* frames; 0 = never */
	bool close_on_frame;
};

static void on_frame(struct frame_stream *s, const struct frame *f, void *ctx)
{
	struct peer *p = ctx;

	p->frames++;
	p->bytes += f->len;
	p->last_type = (uint8_t)f->type;
	if (p->pause_after && p->frames == p->pause_after)
		frame_stream_pause(s);
	if (p->close_on_frame) {
		frame_stream_close(s);
		p->stream = NULL;
	}
}

static void on_close(struct frame_stream *s, const char *reason, void *ctx)
{
	struct peer *p = ctx;

	p->closes++;
	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	frame_stream_close(s);
	p->stream = NULL;
}

static void on_drain(struct frame_stream *s, void *ctx)
{
	struct peer *p = ctx;

	p->drains++;
}

static const struct frame_stream_ops ops = { on_frame, on_close, on_drain };

struct pair {
	struct event_base *base;
	struct peer a, b;
	int fd; /* b's descriptor while it is no stream */
};

static int pair_new(void **state)
{
	struct pair *t = calloc(1, sizeof(*t));
	int fds[2];

	assert_non_null(t);
	t->base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(frame_stream_new(&t->a.stream, t->base, fds[0], &ops,
					  &t->a),
			 0);
	t->fd = fds[1];
	*state = t;
	return 0;
}

static void pair_make_b_a_stream(struct pair *t)
{
	assert_int_equal(
		frame_stream_new(&t->b.stream, t->base, t->fd, &ops, &t->b), 0);
	t->fd = -1;
}

static int pair_free(void **state)
{
	struct pair *t = *state;

	frame_stream_close(t->a.stream);
	frame_stream_close(t->b.stream);
	if (t->fd >= 0)
		close(t->fd);
	event_base_free(t->base);
	free(t);
	return 0;
}

/* Turns the loop until nothing is ready any more. */
static void settle(struct pair *t)
{
	for (int i = 0; i < 200; i++)
		event_base_loop(t->base, EVLOOP_NONBLOCK);
}

static void test_messages_arrive_whole(void **state)
{
	struct pair *t = *state;
	size_t len = 300000;
	char *big = calloc(1, len);

	pair_make_b_a_stream(t);
	assert_int_equal(frame_stream_send(t->a.stream, FRAME_READY, "{}", 2),
			 0);
	assert_int_equal(frame_stream_send(t->a.stream, FRAME_INPUT, big, len),
			 0);
	assert_int_equal(frame_stream_send(t->a.stream, FRAME_DRAIN, NULL, 0),
			 0);
	settle(t);
	assert_int_equal(t->b.frames, 3);
	assert_int_equal(t->b.bytes, 2 + len);
	assert_int_equal(t->b.last_type, FRAME_DRAIN);
	free(big);
}

/* A peer that does not read fills the queue; reading empties it again. */
static void test_back_pressure(void **state)
{
	struct pair *t = *state;
	static const uint8_t chunk[FRAME_PAYLOAD_MAX_BYTES];
	uint64_t sent = 0;

	pair_make_b_a_stream(t);
	frame_stream_pause(t->b.stream);
	while (!frame_stream_full(t->a.stream)) {
		assert_int_equal(frame_stream_send(t->a.stream, FRAME_STDOUT,
						   chunk, sizeof(chunk)),
				 0);
		sent += sizeof(chunk);
		assert_true(sent < 8 * FRAME_STREAM_HIGH_WATER_BYTES);
	}
	settle(t);
	assert_int_equal(t->b.frames, 0);
	assert_int_equal(t->a.drains, 0);
	frame_stream_resume(t->b.stream);
	settle(t);
	assert_int_equal(t->b.bytes, sent);
	assert_int_equal(t->a.drains, 1);
	assert_false(frame_stream_full(t->a.stream));
}

/* Pausing stops between two frames of one read; nothing is lost. */
static void test_pause_inside_on_frame(void **state)
{
	struct pair *t = *state;

	pair_make_b_a_stream(t);
	t->b.pause_after = 2;
	for (int i = 0; i < 5; i++)
		assert_int_equal(frame_stream_send(t->a.stream, FRAME_STDOUT,
						   "x", 1),
				 0);
	settle(t);
	assert_int_equal(t->b.frames, 2);
	frame_stream_resume(t->b.stream);
	settle(t);
	assert_int_equal(t->b.frames, 5);
}

static void test_close_inside_on_frame(void **state)
{
	struct pair *t = *state;

	pair_make_b_a_stream(t);
	t->b.close_on_frame = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(frame_stream_send(t->a.stream, FRAME_STDOUT,
						   "x", 1),
				 0);
	settle(t);
	assert_int_equal(t->b.frames, 1);
	assert_int_equal(t->b.closes, 0);
	assert_int_equal(t->a.closes, 1);
}

static void test_the_peer_closes(void **state)
{
	struct pair *t = *state;

	/* what was sent before the end is delivered before on_close */
	assert_int_equal(send(t->fd, "\1\0\0\0\1x", 6, 0), 6);
	close(t->fd);
	t->fd = -1;
	settle(t);
	assert_int_equal(t->a.frames, 1);
	assert_int_equal(t->a.closes, 1);
	assert_string_equal(t->a.reason, "the peer closed the stream");
}

static void test_the_peer_closes_in_mid_frame(void **state)
{
	struct pair *t = *state;

	assert_int_equal(send(t->fd, "\1\0\0\0\5x", 6, 0), 6);
	close(t->fd);
	t->fd = -1;
	settle(t);
	assert_int_equal(t->a.frames, 0);
	assert_string_equal(t->a.reason, "the peer closed in mid-frame");
}

/* The last words of a peer that is gone are read although sending fails. */
static void test_sending_to_a_peer_that_is_gone(void **state)
{
	struct pair *t = *state;

	assert_int_equal(send(t->fd, "\x15\0\0\0\2{}", 7, 0), 7);
	close(t->fd);
	t->fd = -1;
	assert_int_equal(frame_stream_send(t->a.stream, FRAME_SIGNAL, "{}", 2),
			 -EPIPE);
	assert_int_equal(frame_stream_send(t->a.stream, FRAME_SIGNAL, "{}", 2),
			 -EPIPE);
	assert_int_equal(t->a.closes, 0);
	settle(t);
	assert_int_equal(t->a.last_type, FRAME_EXIT);
	assert_int_equal(t->a.closes, 1);
}

static void test_broken_framing(void **state)
{
	struct pair *t = *state;

	assert_int_equal(send(t->fd, "GET / HTTP/1.1\r\n", 16, 0), 16);
	settle(t);
	assert_int_equal(t->a.closes, 1);
	assert_string_equal(t->a.reason, "the peer broke the framing");
}

static void test_heartbeats_are_swallowed(void **state)
{
	struct pair *t = *state;

	pair_make_b_a_stream(t);
	assert_int_equal(
		frame_stream_send(t->a.stream, FRAME_HEARTBEAT, NULL, 0), 0);
	settle(t);
	assert_int_equal(t->b.frames, 0);
	assert_int_equal(t->b.closes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_new, pair_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_arrive_whole),
		TEST(test_back_pressure),
		TEST(test_pause_inside_on_frame),
		TEST(test_close_inside_on_frame),
		TEST(test_the_peer_closes),
		TEST(test_the_peer_closes_in_mid_frame),
		TEST(test_sending_to_a_peer_that_is_gone),
		TEST(test_broken_framing),
		TEST(test_heartbeats_are_swallowed),
	};

	return cmocka_run_group_tests_name("frame_stream", tests, NULL, NULL);
}
