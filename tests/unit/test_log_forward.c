/* A log on its way: what of the runner's streams is safe at any moment, and
 * that another process goes on from there to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/buf.h"
#include "common/frame.h"
#include "common/redact.h"
#include "orchestrator/log_forward.h"

#include "h2_fixture.h"

#define LIMIT_BYTES 100000

struct world {
	struct event_base *base;
	struct h2_fixture *backend;
	struct backend_client *client;
	struct redactor *redactor;
	struct log_forward *log;
	struct buf stored; /* payload, as the backend has it */
	bool full;
	unsigned int uploads;
	struct log_point from, to; /* of the last upload */
	struct log_position taken;
	bool has_resumed, flushed, mute;
};

/* --- the backend ---------------------------------------------------------- */

static void store(struct world *w, uint64_t offset, const struct buf *body)
{
	struct frame_decoder d = { 0 };
	struct frame f;

	assert_true(offset <= w->stored.len);
	assert_int_equal(frame_decoder_feed(&d, body->data, body->len), 0);
	while (!frame_decoder_next(&d, &f)) {
		size_t skip = MIN(f.len, w->stored.len - offset);

		assert_int_equal(buf_append(&w->stored, f.payload + skip,
					    f.len - skip),
				 0);
		offset += f.len;
	}
	frame_decoder_deinit(&d);
}

static int answer(void *ctx, const char *path, struct buf *body)
{
	const char *offset = strstr(path, "&offset=");
	struct world *w = ctx;

	w->uploads++;
	assert_non_null(offset);
	store(w, strtoull(offset + strlen("&offset="), NULL, 10), body);
	if (w->stored.len > LIMIT_BYTES)
		w->full = true;
	buf_clear(body);
	assert_int_equal(buf_printf(body, "{\"next\":%zu%s}", w->stored.len,
				    w->full ? ",\"full\":true" : ""),
			 0);
	return w->mute ? 0 : 200;
}

/* --- its owner ------------------------------------------------------------ */

static void on_nothing(void *ctx)
{
}

static void on_upload(void *ctx, const struct log_point *from,
		      const struct log_point *to)
{
	struct world *w = ctx;

	w->from = *from;
	w->to = *to;
}

static void on_taken(void *ctx, const struct log_position *at)
{
	struct world *w = ctx;

	w->taken = *at;
	/* Nothing is safe that was not written down before. */
	assert_memory_equal(at->raw, w->from.at.raw, sizeof(at->raw));
}

static void on_resumed(void *ctx)
{
	((struct world *)ctx)->has_resumed = true;
}

static void on_flushed(void *ctx)
{
	((struct world *)ctx)->flushed = true;
}

static void on_refused(void *ctx, const char *why)
{
	fail_msg("refused: %s", why);
}

static void world_open_log(struct world *w)
{
	static const struct log_forward_ops ops = {
		.on_full = on_nothing,
		.on_room = on_nothing,
		.on_upload = on_upload,
		.on_taken = on_taken,
		.on_resumed = on_resumed,
		.on_flushed = on_flushed,
		.on_refused = on_refused,
	};
	const struct log_forward_config config = {
		.base = w->base,
		.client = w->client,
		.redactor = w->redactor,
		.execution = "ex_1",
		.epoch = 1,
	};

	w->flushed = w->has_resumed = false;
	assert_int_equal(log_forward_new(&w->log, &config, &ops, w), 0);
}

static int world_up(void **state)
{
	struct backend_client_config c = BACKEND_CLIENT_CONFIG_DEFAULT;
	struct world *w = calloc(1, sizeof(*w));

	w->base = event_base_new();
	w->backend = h2_fixture_new(w->base, 100);
	h2_fixture_on_call(w->backend, answer, w);
	c.endpoint = h2_fixture_endpoint(w->backend);
	if (backend_client_new(&w->client, w->base, &c) < 0 ||
	    redactor_new(&w->redactor) < 0 ||
	    redactor_add(w->redactor, "\"s3cret-s3cret\"", 15))
		return -1;
	world_open_log(w);
	*state = w;
	return 0;
}

static int world_down(void **state)
{
	struct world *w = *state;

	log_forward_free(w->log);
	redactor_free(w->redactor);
	backend_client_free(w->client);
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	h2_fixture_free(w->backend);
	event_base_free(w->base);
	buf_deinit(&w->stored);
	free(w);
	return 0;
}

static void write_text(struct world *w, const char *text, size_t len)
{
	assert_int_equal(log_forward_write(w->log, FRAME_STDOUT, text, len), 0);
}

static void finish(struct world *w)
{
	assert_int_equal(log_forward_finish(w->log), 0);
	while (!w->flushed)
		event_base_loop(w->base, EVLOOP_ONCE);
}

static void run_until_stored(struct world *w, size_t len)
{
	while (w->stored.len < len)
		event_base_loop(w->base, EVLOOP_ONCE);
	for (int i = 0; i < 8; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void run_until_taken(struct world *w, uint64_t raw)
{
	while (w->taken.raw[LOG_STDOUT] < raw)
		event_base_loop(w->base, EVLOOP_ONCE);
}

/* As the next process does: with what was written down. */
static void take_up(struct world *w)
{
	const struct log_point from = w->from, to = w->to;

	log_forward_free(w->log);
	world_open_log(w);
	assert_int_equal(log_forward_resume(w->log, &from, &to), 0);
	while (!w->has_resumed)
		event_base_loop(w->base, EVLOOP_ONCE);
}

/* --- tests ---------------------------------------------------------------- */

static void test_what_is_held_back_is_not_safe(void **state)
{
	struct world *w = *state;

	write_text(w, "one s3cret", 10);
	run_until_stored(w, 4);
	assert_int_equal(w->to.at.raw[LOG_STDOUT], 4);
	assert_int_equal(w->to.offset, 4);
	write_text(w, "-s3cret.", 8);
	run_until_stored(w, strlen("one ********."));
	assert_int_equal(w->taken.raw[LOG_STDOUT], 4);
	assert_int_equal(w->to.at.raw[LOG_STDOUT], 18);
}

static void test_notices_are_none_of_the_runners(void **state)
{
	struct world *w = *state;

	assert_int_equal(log_forward_notice(w->log, "ours"), 0);
	assert_int_equal(log_forward_runner_notice(w->log, "the runner's", 40),
			 0);
	write_text(w, "x", 1);
	run_until_stored(w, strlen("ours\nthe runner's\nx"));
	assert_int_equal(w->to.offset, strlen("ours\nthe runner's\nx"));
	assert_int_equal(w->to.at.raw[LOG_NOTICE], 40);
}

/* Whether the backend has the upload that was under way or not. */
static void check_take_up(struct world *w, bool arrives)
{
	write_text(w, "first\n", 6);
	run_until_stored(w, 6);
	w->mute = true;
	write_text(w, "second s3c", 10);
	if (arrives) {
		const unsigned int before = w->uploads;

		while (w->uploads == before)
			event_base_loop(w->base, EVLOOP_ONCE);
	} else {
		h2_fixture_stop(w->backend);
		while (w->to.offset == 6)
			event_base_loop(w->base, EVLOOP_ONCE);
		h2_fixture_start(w->backend);
	}
	w->mute = false;
	take_up(w);
	/* Also where it arrived: the runner was not told. */
	assert_int_equal(w->taken.raw[LOG_STDOUT], 6);
	write_text(w, "second s3c", 10);
	write_text(w, "ret-s3cret!\n", 12);
	finish(w);
	assert_string_equal(buf_cstr(&w->stored), "first\nsecond ********!\n");
}

static void test_taken_up_with_the_upload(void **state)
{
	check_take_up(*state, true);
}

static void test_taken_up_without_the_upload(void **state)
{
	check_take_up(*state, false);
}

static char *random_text(size_t len)
{
	char *text = malloc(len + 1);
	size_t n = 0;

	assert_non_null(text);
	while (n < len) {
		static const char secret[] = "s3cret-s3cret";
		size_t k = (size_t)rand() % (sizeof(secret));

		k = rand() % 3 ? sizeof(secret) - 1 : k;
		k = MIN(k, len - n);
		memcpy(text + n, secret, k);
		n += k;
		if (n < len && rand() % 2)
			text[n++] = (char)('a' + rand() % 26);
	}
	text[len] = '\0';
	return text;
}

static char *masked(struct world *w, const char *text, size_t len)
{
	struct redact_stream *s;
	struct buf out = { 0 };

	assert_int_equal(redact_stream_new(&s, w->redactor), 0);
	assert_int_equal(redact_stream_feed(s, text, len, &out), 0);
	assert_int_equal(redact_stream_flush(s, &out), 0);
	redact_stream_free(s);
	return buf_take(&out, NULL);
}

/* Again and again taken up, at any moment: the log is the same. */
static void test_taken_up_at_any_moment(void **state)
{
	struct world *w = *state;
	const size_t len = 20000;
	_cleanup_free_ char *text = random_text(len);
	_cleanup_free_ char *expected = masked(w, text, len);
	size_t at = 0;

	while (at < len) {
		size_t n = (size_t)rand() % 900 + 1;

		n = MIN(n, len - at);
		write_text(w, text + at, n);
		at += n;
		for (int i = rand() % 12; i > 0; i--)
			event_base_loop(w->base, EVLOOP_NONBLOCK);
		if (rand() % 4)
			continue;
		take_up(w);
		at = w->taken.raw[LOG_STDOUT];
	}
	finish(w);
	assert_string_equal(buf_cstr(&w->stored), expected);
}

static void test_a_full_log_is_taken_up(void **state)
{
	struct world *w = *state;
	char text[10000];
	uint64_t dropped;

	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 60; i++) {
		write_text(w, text, sizeof(text));
		run_until_stored(w, MIN((size_t)(i + 1) * sizeof(text),
					LIMIT_BYTES + 1));
	}
	assert_true(w->full);
	assert_true(w->taken.raw[LOG_STDOUT] >= 300000);
	dropped = w->to.dropped + 600000 - w->to.at.raw[LOG_STDOUT];
	assert_int_equal(log_forward_dropped(w->log), dropped);
	take_up(w);
	for (uint64_t at = w->taken.raw[LOG_STDOUT]; at < 600000; at += 1000)
		write_text(w, text, 1000);
	finish(w);
	assert_int_equal(log_forward_dropped(w->log), dropped);
	assert_int_equal(w->stored.len + dropped, 600000);
}

/* Nothing comes out, and still the runner need not keep it all. */
static void test_what_is_masked_is_safe_too(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 40000; i++)
		write_text(w, "s3cret-s3cret", 13);
	run_until_taken(w, 40000 * 13 - LOG_FORWARD_BATCH_BYTES);
	for (int i = 0; i < 40000; i++)
		write_text(w, "s3cret-s3cret", 13);
	run_until_taken(w, 80000 * 13 - LOG_FORWARD_BATCH_BYTES);
	assert_int_equal(w->uploads, 1);
	finish(w);
	assert_string_equal(buf_cstr(&w->stored), REDACT_MASK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_up, world_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_held_back_is_not_safe),
		TEST(test_notices_are_none_of_the_runners),
		TEST(test_taken_up_with_the_upload),
		TEST(test_taken_up_without_the_upload),
		TEST(test_taken_up_at_any_moment),
		TEST(test_a_full_log_is_taken_up),
		TEST(test_what_is_masked_is_safe_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
