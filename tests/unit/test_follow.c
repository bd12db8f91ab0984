#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/follow.h"

struct watcher {
	struct follower follower;
	struct follow *follow;
	int states, logs, stops;
	bool leaves; /* with the next event */
};

static void on_event(struct follower *f, const struct follow_event *ev)
{
	struct watcher *w = (struct watcher *)f;

	if (ev->stop)
		w->stops++;
	else if (ev->job_json)
		w->states++;
	else
		w->logs++;
	if (w->leaves)
		follow_remove(w->follow, f);
}

static void watch(struct follow *fo, struct watcher *w, const char *job)
{
	w->follow = fo;
	w->follower.on_event = on_event;
	assert_int_equal(follow_add(fo, job, &w->follower), 0);
}

static const struct follow_event log_event = { 0 };
static const struct follow_event state_event = { .job_json = "{}", .len = 2 };

static void test_fan_out(void **state)
{
	struct watcher a = { 0 }, b = { 0 }, other = { 0 };
	struct follow *fo;

	assert_int_equal(follow_new(&fo), 0);
	assert_false(follow_wanted(fo, "job_1"));
	follow_publish(fo, "job_1", &log_event);
	watch(fo, &a, "job_1");
	watch(fo, &b, "job_1");
	watch(fo, &other, "job_2");
	assert_true(follow_wanted(fo, "job_1"));
	follow_publish(fo, "job_1", &log_event);
	follow_publish(fo, "job_1", &state_event);
	assert_int_equal(a.logs + a.states + b.logs + b.states, 4);
	assert_int_equal(other.logs + other.states, 0);
	follow_remove(fo, &a.follower);
	follow_remove(fo, &a.follower);
	follow_publish(fo, "job_1", &log_event);
	assert_int_equal(a.logs, 1);
	assert_int_equal(b.logs, 2);
	follow_remove(fo, &b.follower);
	assert_false(follow_wanted(fo, "job_1"));
	follow_remove(fo, &other.follower);
	follow_free(fo);
}

static void test_leaving_from_within(void **state)
{
	struct watcher w[3] = { { .leaves = true },
				{ .leaves = false },
				{ .leaves = true } };
	struct follow *fo;

	assert_int_equal(follow_new(&fo), 0);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		watch(fo, &w[i], "job_1");
	follow_publish(fo, "job_1", &log_event);
	follow_publish(fo, "job_1", &log_event);
	assert_int_equal(w[0].logs, 1);
	assert_int_equal(w[1].logs, 2);
	assert_int_equal(w[2].logs, 1);
	w[1].leaves = true;
	follow_stop(fo);
	assert_int_equal(w[1].stops, 1);
	assert_false(follow_wanted(fo, "job_1"));
	follow_free(fo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fan_out),
		cmocka_unit_test(test_leaving_from_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
