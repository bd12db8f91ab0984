#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sidecar/flight.h"

static void test_one_flight_a_key(void **state)
{
	struct flight_table t = { 0 };
	struct flight_waiter w[3] = { 0 };
	struct flight *f;

	assert_null(flight_find(&t, "k"));
	f = flight_new(&t, "k");
	assert_non_null(f);
	assert_ptr_equal(flight_find(&t, "k"), f);
	assert_null(flight_find(&t, "l"));
	assert_string_equal(flight_key(f), "k");
	assert_true(flight_is_current(f));
	for (int i = 0; i < 3; i++)
		flight_join(f, &w[i]);
	/* One hangs up, the others are told in their order. */
	flight_leave(&w[1]);
	flight_leave(&w[1]);
	assert_ptr_equal(flight_next(f), &w[0]);
	assert_ptr_equal(flight_next(f), &w[2]);
	assert_null(flight_next(f));
	flight_free(&t, f);
	assert_null(flight_find(&t, "k"));
}

static void test_a_write_detaches(void **state)
{
	struct flight_table t = { 0 };
	struct flight_waiter before = { 0 }, after = { 0 };
	struct flight *old = flight_new(&t, "k"), *new;

	flight_join(old, &before);
	flight_detach(&t, "other");
	assert_true(flight_is_current(old));
	flight_detach(&t, "k");
	flight_detach(&t, "k");
	assert_false(flight_is_current(old));
	assert_null(flight_find(&t, "k"));
	/* Who comes later does not get the old answer. */
	new = flight_new(&t, "k");
	flight_join(new, &after);
	assert_ptr_equal(flight_next(old), &before);
	flight_free(&t, old);
	assert_ptr_equal(flight_find(&t, "k"), new);
	assert_ptr_equal(flight_next(new), &after);
	flight_free(&t, new);
	assert_null(flight_find(&t, "k"));
	flight_free(&t, NULL);
}

static void test_all_detach(void **state)
{
	struct flight_table t = { 0 };
	struct flight *a = flight_new(&t, "a"), *b = flight_new(&t, "b");

	flight_detach_all(&t);
	flight_detach_all(&t);
	assert_false(flight_is_current(a));
	assert_false(flight_is_current(b));
	assert_null(flight_find(&t, "a"));
	assert_null(flight_find(&t, "b"));
	flight_free(&t, a);
	flight_free(&t, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_flight_a_key),
		cmocka_unit_test(test_a_write_detaches),
		cmocka_unit_test(test_all_detach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
