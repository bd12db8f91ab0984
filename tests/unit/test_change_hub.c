#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "backend/change_hub.h"
#include "backend/refusals.h"
#include "backend/store.h"
#include "common/frame.h"
#include "common/http/server.h"

#define SEEN_MAX 64

struct fixture {
	struct backend b;
	struct change_hub *hub;
};

struct watcher {
	struct change_watcher watcher;
	struct change_hub *hub;
	int64_t seen[SEEN_MAX];
	size_t n, turns, ends;
	bool leaves; /* with the next event */
	bool holds;  /* does not say when it has read */
	char last[256];
};

static void watcher_leave(struct watcher *w)
{
	if (w->leaves)
		change_hub_remove(w->hub, &w->watcher);
}

static void on_change(struct change_watcher *cw, struct change_event *ev)
{
	struct watcher *w = (struct watcher *)cw;
	const struct buf *full = change_event_full(ev);

	assert_non_null(full);
	assert_true(change_event_brief(ev)->len < full->len ||
		    ev->change->deleted);
	assert_true(w->n < SEEN_MAX && full->len < sizeof(w->last));
	memcpy(w->last, full->data, full->len);
	w->seen[w->n++] = ev->change->version;
	watcher_leave(w);
}

static void on_turn(struct change_watcher *cw)
{
	struct watcher *w = (struct watcher *)cw;

	w->turns++;
	watcher_leave(w);
	if (!w->holds)
		change_hub_read_done(w->hub, cw);
}

static void on_tick(struct change_watcher *w, bool heartbeat)
{
}

static void on_end(struct change_watcher *cw, enum change_end why)
{
	struct watcher *w = (struct watcher *)cw;

	w->ends++;
	change_hub_remove(w->hub, cw);
}

static const struct change_watcher_ops ops = {
	.on_change = on_change,
	.on_turn = on_turn,
	.on_tick = on_tick,
	.on_end = on_end,
};

static void on_request(struct http_exchange *ex, void *ctx)
{
	fail_msg("nobody asks");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->b.base = event_base_new();
	assert_int_equal(http_server_new(&f->b.server, f->b.base,
					 &HTTP_LIMITS_DEFAULT, on_request,
					 NULL),
			 0);
	assert_int_equal(change_hub_new(&f->hub, &f->b), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	change_hub_free(f->hub);
	http_server_free(f->b.server);
	event_base_free(f->b.base);
	free(f);
	return 0;
}

static int watch(struct fixture *f, struct watcher *w, const char *execution)
{
	w->hub = f->hub;
	return change_hub_add(f->hub, execution, &ops, &w->watcher);
}

static void publish(struct fixture *f, int64_t version)
{
	const struct store_variable v = { .key = "k",
					  .version = version,
					  .value = { "12", 2 } };

	change_hub_publish(f->hub, &v, false);
}

static void test_frames(void **state)
{
	struct fixture *f = *state;
	struct frame_decoder d = { 0 };
	struct watcher w = { 0 };
	struct frame frame;

	assert_int_equal(watch(f, &w, NULL), 0);
	publish(f, 7);
	assert_int_equal(change_hub_newest(f->hub), 7);
	assert_int_equal(frame_decoder_feed(&d, w.last, sizeof(w.last)), 0);
	assert_int_equal(frame_decoder_next(&d, &frame), 0);
	assert_int_equal(frame.type, FRAME_CHANGE);
	assert_memory_equal(frame.payload,
			    "{\"key\":\"k\",\"version\":7,\"deleted\":false,"
			    "\"secret\":false,\"snapshot\":false,"
			    "\"value_bytes\":2}",
			    frame.len);
	assert_int_equal(frame_decoder_next(&d, &frame), 0);
	assert_int_equal(frame.type, FRAME_VALUE);
	assert_memory_equal(frame.payload, "12", 2);
	frame_decoder_deinit(&d);
	change_hub_remove(f->hub, &w.watcher);
	change_hub_remove(f->hub, &w.watcher);
	assert_int_equal(change_hub_count(f->hub), 0);
}

static void test_watchers_leave_while_they_are_told(void **state)
{
	struct fixture *f = *state;
	struct watcher w[5] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		assert_int_equal(watch(f, &w[i], i % 2 ? "ex_1" : NULL), 0);
		w[i].leaves = i != 2;
	}
	publish(f, 1);
	publish(f, 2);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		assert_int_equal(w[i].n, i == 2 ? 2 : 1);
	assert_int_equal(change_hub_count(f->hub), 1);
	change_hub_remove(f->hub, &w[2].watcher);
}

static void test_executions_end(void **state)
{
	struct fixture *f = *state;
	struct watcher a = { 0 }, b = { 0 }, other = { 0 }, admin = { 0 };

	assert_int_equal(watch(f, &a, "ex_1"), 0);
	assert_int_equal(watch(f, &b, "ex_1"), 0);
	assert_int_equal(watch(f, &other, "ex_2"), 0);
	assert_int_equal(watch(f, &admin, NULL), 0);
	change_hub_execution_ended(f->hub, "ex_3");
	change_hub_execution_ended(f->hub, "ex_1");
	assert_int_equal(a.ends + b.ends, 2);
	assert_int_equal(other.ends + admin.ends, 0);
	change_hub_execution_ended(f->hub, "ex_1");
	change_hub_stop(f->hub);
	assert_int_equal(a.ends + b.ends, 2);
	assert_int_equal(other.ends + admin.ends, 2);
	assert_int_equal(watch(f, &a, NULL), -ESHUTDOWN);
	change_hub_remove(f->hub, &a.watcher);
}

static void test_an_execution_has_a_limit(void **state)
{
	static struct watcher w[CHANGE_WATCHERS_EXECUTION_MAX + 1];
	struct fixture *f = *state;
	size_t last = CHANGE_WATCHERS_EXECUTION_MAX;

	for (size_t i = 0; i < last; i++)
		assert_int_equal(watch(f, &w[i], "ex_1"), 0);
	assert_int_equal(watch(f, &w[last], "ex_1"), -EMFILE);
	assert_int_equal(watch(f, &w[last], "ex_2"), 0);
	change_hub_remove(f->hub, &w[last].watcher);
	change_hub_remove(f->hub, &w[5].watcher);
	assert_int_equal(watch(f, &w[last], "ex_1"), 0);
	change_hub_stop(f->hub);
	assert_int_equal(change_hub_count(f->hub), 0);
}

/* So many read at once, in the order in which they asked; one that goes makes
 * room. */
static void test_turns(void **state)
{
	enum { N = CHANGE_READS_MAX + 4 };
	struct fixture *f = *state;
	struct watcher w[N] = { 0 };

	for (size_t i = 0; i < N; i++) {
		assert_int_equal(watch(f, &w[i], NULL), 0);
		w[i].holds = true;
		change_hub_want_read(f->hub, &w[i].watcher);
		assert_int_equal(w[i].turns, 0);
	}
	event_base_loop(f->b.base, EVLOOP_NONBLOCK);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(w[i].turns, i < CHANGE_READS_MAX);
	change_hub_read_done(f->hub, &w[3].watcher);
	change_hub_read_done(f->hub, &w[3].watcher);
	event_base_loop(f->b.base, EVLOOP_NONBLOCK);
	assert_int_equal(w[CHANGE_READS_MAX].turns, 1);
	assert_int_equal(w[CHANGE_READS_MAX + 1].turns, 0);
	change_hub_remove(f->hub, &w[CHANGE_READS_MAX + 1].watcher);
	change_hub_remove(f->hub, &w[4].watcher);
	w[CHANGE_READS_MAX + 2].leaves = true; /* and gives its turn on */
	event_base_loop(f->b.base, EVLOOP_NONBLOCK);
	assert_int_equal(w[CHANGE_READS_MAX + 1].turns, 0);
	assert_int_equal(w[CHANGE_READS_MAX + 2].turns, 1);
	event_base_loop(f->b.base, EVLOOP_NONBLOCK);
	assert_int_equal(w[CHANGE_READS_MAX + 3].turns, 1);
	for (size_t i = 0; i < N; i++)
		change_hub_remove(f->hub, &w[i].watcher);
}

/* What was handed to the server within this turn counts at once. */
static void test_room(void **state)
{
	static const size_t half = CHANGE_BACKLOG_MAX_BYTES / 2;
	struct fixture *f = *state;

	assert_false(change_hub_take_room(f->hub, 2 * half + 1));
	assert_true(change_hub_take_room(f->hub, half));
	assert_true(change_hub_take_room(f->hub, half));
	assert_false(change_hub_take_room(f->hub, 1));
	event_base_loop(f->b.base, EVLOOP_NONBLOCK);
	assert_true(change_hub_take_room(f->hub, 2 * half));
}

static void test_what_a_sidecar_may_report(void **state)
{
	static const char *const no[][2] = {
		{ "token.refused", "key_forbidden" },
		{ "call.refused", "token_invalid" },
		{ "call.refused", "" },
		{ "", "token_invalid" },
		{ "job.submit", "ok" },
		{ "token.refused", "token_invalid " },
	};

	(void)state;
	assert_true(refusals_known("token.refused", "token_invalid"));
	assert_true(refusals_known("call.refused", "rate_limited"));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(refusals_known(no[i][0], no[i][1]));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_frames),
		T(test_watchers_leave_while_they_are_told),
		T(test_executions_end),
		T(test_an_execution_has_a_limit),
		T(test_turns),
		T(test_room),
		cmocka_unit_test(test_what_a_sidecar_may_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
