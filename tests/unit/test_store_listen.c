/* What is heard of other stores on the same database. CRONIUM_TEST_STORE names
 * the server. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_listen.h"
#include "backend/store_variable.h"
#include "store_fixture.h"

#define END_LISTENER                                                 \
	"SELECT count(pg_terminate_backend(pid)) FROM "              \
	"pg_stat_activity a JOIN writers w ON a.application_name = " \
	"w.instance || ' listener'"

struct heard {
	char text[1024];
	int gaps;
};

static void on_notice(void *ctx, const char *kind, const char *id,
		      int64_t number)
{
	struct heard *h = ctx;
	size_t len = strlen(h->text);

	snprintf(h->text + len, sizeof(h->text) - len, "%s %s %lld\n", kind, id,
		 (long long)number);
}

static void on_gap(void *ctx)
{
	struct heard *h = ctx;

	h->gaps++;
}

static void hear(struct store_fixture *f, struct heard *h, const char *last)
{
	while (!strstr(h->text, last))
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

static void wait_gap(struct store_fixture *f, const struct heard *h, int n)
{
	while (h->gaps < n)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

static void test_notifications(void **state)
{
	struct store_fixture *f = *state, second;
	struct heard h = { 0 };
	struct store_listen_handler handler = { on_notice, on_gap, &h };
	struct store_listen *listen;
	struct reply reply;

	store_fixture_open_second(f, &second);
	assert_int_equal(store_listen_new(&listen, f->store, f->base, &handler),
			 0);
	assert_non_null(listen);
	wait_gap(f, &h, 1);
	/* Its own are not heard. */
	assert_int_equal(submit_job(f, "job_1"), 0);
	assert_int_equal(submit_job(&second, "job_2"), 0);
	assert_int_equal(put_variable(&second, "with space", "1",
				      STORE_EXPECT_ANY, &reply),
			 0);
	assert_int_equal(claim_job(&second, "ex_1", &reply), 0);
	assert_int_equal(put_variable(&second, "last", "1", STORE_EXPECT_ANY,
				      &reply),
			 0);
	hear(f, &h, "variable last 2\n");
	assert_string_equal(h.text, "job job_2 1\n" /* queued */
				    "variable with space 1\n"
				    "job job_1 2\n" /* claimed */
				    "variable last 2\n");
	/* A lost connection is made again, and says that there was a gap. */
	assert_int_equal(store_fixture_sql(f, END_LISTENER), 1);
	wait_gap(f, &h, 2);
	h.text[0] = '\0';
	assert_int_equal(put_variable(&second, "last", "2", STORE_EXPECT_ANY,
				      &reply),
			 0);
	hear(f, &h, "variable last 3\n");
	store_listen_free(listen);
	store_fixture_close_second(&second);
}

/* What was rolled back is not told. */
static void test_no_notification_of_what_was_refused(void **state)
{
	struct store_fixture *f = *state, second;
	struct heard h = { 0 };
	struct store_listen_handler handler = { on_notice, on_gap, &h };
	struct store_listen *listen;
	struct reply reply;

	store_fixture_open_second(f, &second);
	assert_int_equal(store_listen_new(&listen, f->store, f->base, &handler),
			 0);
	wait_gap(f, &h, 1);
	assert_int_equal(put_variable(&second, "a", "1", 7, &reply),
			 STORE_E_CONFLICT);
	assert_int_equal(
		put_variable(&second, "b", "1", STORE_EXPECT_ANY, &reply), 0);
	hear(f, &h, "variable b 1\n");
	assert_string_equal(h.text, "variable b 1\n");
	store_listen_free(listen);
	store_fixture_close_second(&second);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_notifications),
		T(test_no_notification_of_what_was_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
