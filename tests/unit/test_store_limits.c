/*
 * Limits that two stores on one database keep, both of which submit at once.
 * CRONIUM_TEST_STORE names the server.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "store_fixture.h"

enum { LIMIT = 50 };

struct tally {
	int under_way, done, failed;
};

static void wait_for(struct store_fixture *f, const int *under_way)
{
	while (*under_way)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

static void on_submit(int r, const struct store_result *result, void *ctx)
{
	struct tally *t = ctx;

	t->under_way--;
	t->done += r == 0;
	t->failed += r == STORE_E_LIMIT || r == STORE_E_FAMILY;
}

static void start_submits(struct store_fixture *f, struct tally *t,
			  struct store_job_new *job, int n)
{
	static int number = 1000;

	for (int i = 0; i < n; i++) {
		char id[32];

		snprintf(id, sizeof(id), "job_%d", number++);
		job->id = id;
		t->under_way++;
		assert_int_equal(store_job_submit(f->store, job,
						  (struct store_done){
							  .fn = on_submit,
							  .ctx = t }),
				 0);
		/* Batches of many sizes. */
		if (i % 7 == 0)
			event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
}

static void test_the_queues_limit_holds(void **state)
{
	struct store_fixture *f = *state, second;
	struct store_job_new job = { .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .max_queued = LIMIT };
	struct tally t = { 0 };

	store_fixture_open_second(f, &second);
	start_submits(f, &t, &job, LIMIT);
	start_submits(&second, &t, &job, LIMIT);
	wait_for(f, &t.under_way);
	assert_int_equal(t.done, LIMIT);
	assert_int_equal(t.failed, LIMIT);
	assert_int_equal(store_fixture_sql(f, "SELECT count(*) FROM jobs"),
			 LIMIT);
	store_fixture_close_second(&second);
}

/* Of two parents that have one ancestor. */
static void test_a_familys_limit_holds(void **state)
{
	struct store_fixture *f = *state, second;
	struct store_job_new job = { .name = "a",
				     .runtime = "bash",
				     .executor = "sandbox",
				     .parent = "ex_top",
				     .max_children = 2 * LIMIT,
				     .max_depth = 9,
				     .max_family = 2 + LIMIT };
	struct tally t = { 0 };
	struct reply reply;

	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(claim_job(f, "ex_top", &reply), 0);
	start_submits(f, &t, &job, 2);
	wait_for(f, &t.under_way);
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	assert_int_equal(claim_job(f, "ex_2", &reply), 0);
	t = (struct tally){ 0 };
	store_fixture_open_second(f, &second);
	job.parent = "ex_1";
	start_submits(f, &t, &job, LIMIT);
	job.parent = "ex_2";
	start_submits(&second, &t, &job, LIMIT);
	wait_for(f, &t.under_way);
	assert_int_equal(t.done, LIMIT);
	assert_int_equal(t.failed, LIMIT);
	store_fixture_close_second(&second);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_queues_limit_holds),
		T(test_a_familys_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
