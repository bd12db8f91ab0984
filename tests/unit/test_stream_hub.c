#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend/stream_hub.h"

#define MiB (1024 * 1024)

static struct stream_hub *hub;

struct reader {
	struct stream_reader r;
	int events, stops;
	bool leaves; /* with the next event */
};

struct writer {
	struct stream_writer w;
	int verdicts;
	enum stream_verdict verdict;
	bool fails; /* at once, where it is admitted */
};

static void on_event(struct stream_reader *r, bool stop)
{
	struct reader *x = (struct reader *)r;

	x->events += !stop;
	x->stops += stop;
	if (x->leaves)
		stream_hub_unread(hub, r);
}

static void on_verdict(struct stream_writer *w, enum stream_verdict v)
{
	struct writer *x = (struct writer *)w;

	x->verdicts++;
	x->verdict = v;
	if (v == STREAM_ADMITTED && x->fails)
		stream_hub_written(hub, w, -1, false);
}

static void attach(struct reader *x, const char *job,
		   enum store_stream_kind kind, int64_t at)
{
	x->r.on_event = on_event;
	assert_int_equal(stream_hub_read(hub, job, kind, at, &x->r), 0);
}

/* True where it has to wait. */
static bool begin(struct writer *x, const char *job,
		  enum store_stream_kind kind, size_t bytes, int64_t now)
{
	bool waits;

	x->w.on_verdict = on_verdict;
	x->w.bytes = bytes;
	assert_int_equal(stream_hub_write(hub, job, kind, now, &x->w,
					  &x->verdict, &waits),
			 0);
	return waits;
}

/* Appends at once what brings the stream to so many bytes. */
static void append(const char *job, enum store_stream_kind kind, int64_t to)
{
	struct writer x = { 0 };

	assert_false(begin(&x, job, kind, 1, 0));
	assert_int_equal(x.verdict, STREAM_ADMITTED);
	stream_hub_written(hub, &x.w, to, true);
}

static struct stream_hub_stats stats(void)
{
	struct stream_hub_stats s;

	stream_hub_get_stats(hub, &s);
	return s;
}

static int setup(void **state)
{
	return stream_hub_new(&hub);
}

static int teardown(void **state)
{
	stream_hub_free(hub);
	return 0;
}

#define IN STORE_STREAM_INPUT
#define OUT STORE_STREAM_OUTPUT

static void test_readers_are_told(void **state)
{
	struct reader a = { 0 }, b = { .leaves = true }, other = { 0 },
		      input = { 0 };
	struct writer refused = { 0 };

	attach(&a, "job_1", OUT, 0);
	attach(&b, "job_1", OUT, 0);
	attach(&other, "job_2", OUT, 0);
	attach(&input, "job_1", IN, 0);
	append("job_1", OUT, 10);
	append("job_1", OUT, 20);
	assert_false(begin(&refused, "job_1", OUT, 1, 0));
	stream_hub_written(hub, &refused.w, -1, false);
	assert_int_equal(a.events, 2);
	assert_int_equal(b.events, 1);
	stream_hub_job_ended(hub, "job_1");
	assert_int_equal(a.events, 3);
	assert_int_equal(input.events, 1);
	assert_int_equal(other.events, 0);
	stream_hub_stop(hub);
	assert_int_equal(a.stops + input.stops + other.stops, 3);
	stream_hub_unread(hub, &a.r);
	stream_hub_unread(hub, &a.r);
	stream_hub_unread(hub, &other.r);
	stream_hub_unread(hub, &input.r);
	assert_int_equal(stats().topics, 0);
	assert_int_equal(stats().readers, 0);
}

static void test_nobody_reads_an_output(void **state)
{
	for (int64_t at = 0; at < 10; at++)
		append("job_1", OUT, at * 100 * MiB);
	assert_int_equal(stats().topics, 0);
}

static void test_the_slowest_reader_counts(void **state)
{
	struct reader fast = { 0 }, slow = { 0 };
	struct writer w = { 0 }, behind = { 0 };

	attach(&fast, "job_1", OUT, 0);
	attach(&slow, "job_1", OUT, 0);
	append("job_1", OUT, STREAM_WINDOW_BYTES);
	assert_true(begin(&w, "job_1", OUT, MiB, 0));
	assert_true(begin(&behind, "job_1", OUT, 10, 0));
	assert_int_equal(stats().waiting, 2);
	assert_int_equal(stats().waiting_bytes, MiB + 10);
	stream_hub_taken(hub, &fast.r, STREAM_WINDOW_BYTES,
			 STREAM_WINDOW_BYTES);
	stream_hub_taken(hub, &slow.r, MiB - 1, STREAM_WINDOW_BYTES);
	assert_int_equal(w.verdicts + behind.verdicts, 0);
	stream_hub_taken(hub, &slow.r, MiB, STREAM_WINDOW_BYTES);
	assert_int_equal(w.verdicts, 1);
	assert_int_equal(w.verdict, STREAM_ADMITTED);
	assert_int_equal(behind.verdicts, 0); /* what w appends counts */
	stream_hub_unread(hub, &slow.r);
	assert_int_equal(behind.verdicts, 1);
	stream_hub_written(hub, &w.w, STREAM_WINDOW_BYTES + MiB, true);
	stream_hub_written(hub, &behind.w, -1, false);
	stream_hub_unread(hub, &fast.r);
	assert_int_equal(stats().topics, 0);
	assert_int_equal(stats().waiting_bytes, 0);
}

/* However large: a reader that has everything would wait for ever. */
static void test_one_append_is_always_let_through(void **state)
{
	struct reader r = { 0 };
	struct writer w = { 0 };

	attach(&r, "job_1", OUT, 0);
	append("job_1", OUT, 5);
	stream_hub_taken(hub, &r.r, 5, 5);
	assert_false(begin(&w, "job_1", OUT, 2 * STREAM_WINDOW_BYTES, 0));
	assert_int_equal(w.verdict, STREAM_ADMITTED);
	stream_hub_written(hub, &w.w, -1, false);
	stream_hub_unread(hub, &r.r);
}

static void test_a_job_reads_before_it_begins(void **state)
{
	struct reader job = { 0 };
	struct writer w = { 0 }, again = { 0 };

	append("job_1", IN, STREAM_WINDOW_BYTES);
	assert_int_equal(stats().topics, 1);
	assert_true(begin(&w, "job_1", IN, 1, 0));
	/* It begins, not at the first record. */
	attach(&job, "job_1", IN, 100);
	assert_int_equal(w.verdict, STREAM_ADMITTED);
	assert_int_equal(w.verdicts, 1);
	stream_hub_written(hub, &w.w, STREAM_WINDOW_BYTES + 1, true);
	stream_hub_taken(hub, &job.r, 200, 0);
	/* Between two connections it is where it was. */
	stream_hub_unread(hub, &job.r);
	assert_false(begin(&w, "job_1", IN, 199, 0));
	stream_hub_written(hub, &w.w, STREAM_WINDOW_BYTES + 200, true);
	assert_true(begin(&again, "job_1", IN, 1, 0));
	/* It goes back: then it counts from there. */
	attach(&job, "job_1", IN, 0);
	assert_int_equal(again.verdicts, 0);
	stream_hub_unread(hub, &job.r);
	stream_hub_job_ended(hub, "job_1"); /* to be refused by the store */
	assert_int_equal(again.verdict, STREAM_ADMITTED);
	assert_int_equal(again.verdicts, 1);
	stream_hub_written(hub, &again.w, -1, false);
	assert_int_equal(stats().topics, 0);
}

static void test_time_is_up(void **state)
{
	struct reader r = { 0 };
	struct writer early = { 0 }, late = { 0 }, other = { 0 };

	attach(&r, "job_1", OUT, 0);
	append("job_1", OUT, STREAM_WINDOW_BYTES);
	append("job_2", IN, STREAM_WINDOW_BYTES);
	assert_int_equal(stream_hub_expire(hub, 50), -1);
	assert_true(begin(&early, "job_1", OUT, 1, 100));
	assert_true(begin(&other, "job_2", IN, 1, 150));
	assert_true(begin(&late, "job_1", OUT, 1, 200));
	assert_int_equal(stream_hub_expire(hub, 200), 100 + STREAM_WAIT_MS);
	assert_int_equal(early.verdicts, 0);
	assert_int_equal(stream_hub_expire(hub, 150 + STREAM_WAIT_MS),
			 200 + STREAM_WAIT_MS);
	assert_int_equal(early.verdict, STREAM_FULL);
	assert_int_equal(other.verdict, STREAM_FULL);
	assert_int_equal(early.verdicts + other.verdicts + late.verdicts, 2);
	/* The peer of the last one goes. */
	stream_hub_leave(hub, &late.w);
	stream_hub_leave(hub, &late.w);
	assert_int_equal(stream_hub_expire(hub, 1000000), -1);
	assert_int_equal(late.verdicts, 0);
	stream_hub_unread(hub, &r.r);
	stream_hub_job_ended(hub, "job_2");
	assert_int_equal(stats().topics, 0);
}

static void test_so_many_may_wait(void **state)
{
	struct writer *w = calloc(STREAM_WAITING_MAX + 1, sizeof(*w));
	size_t n = 0, bytes = STREAM_WAITING_MAX_BYTES / 4;
	struct writer big[5] = { 0 };

	append("job_1", IN, STREAM_WINDOW_BYTES);
	while (begin(&w[n], "job_1", IN, 1, 0))
		n++;
	assert_int_equal(n, STREAM_WAITING_MAX);
	assert_int_equal(w[n].verdict, STREAM_FULL);
	for (size_t i = 0; i < n; i++)
		stream_hub_leave(hub, &w[i].w);
	for (n = 0; begin(&big[n], "job_1", IN, bytes, 0); n++)
		;
	assert_int_equal(n, 4);
	assert_int_equal(big[n].verdict, STREAM_FULL);
	/* All of them are let through, and fail one within the other. */
	for (size_t i = 0; i < n; i++)
		big[i].fails = true;
	stream_hub_job_ended(hub, "job_1");
	for (size_t i = 0; i < n; i++)
		assert_int_equal(big[i].verdicts, 1);
	assert_int_equal(stats().topics, 0);
	free(w);
}

static void test_stop(void **state)
{
	struct writer w = { 0 }, late = { 0 };

	append("job_1", IN, STREAM_WINDOW_BYTES);
	assert_true(begin(&w, "job_1", IN, 1, 0));
	stream_hub_stop(hub);
	assert_int_equal(w.verdict, STREAM_STOPPING);
	assert_int_equal(w.verdicts, 1);
	assert_false(begin(&late, "job_1", IN, 1, 0));
	assert_int_equal(late.verdict, STREAM_STOPPING);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_readers_are_told),
		T(test_nobody_reads_an_output),
		T(test_the_slowest_reader_counts),
		T(test_one_append_is_always_let_through),
		T(test_a_job_reads_before_it_begins),
		T(test_time_is_up),
		T(test_so_many_may_wait),
		T(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
