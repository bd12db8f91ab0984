#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"

static void test_consume_and_refill(void **state)
{
	struct buf b = { 0 };
	size_t expect = 0, next = 0;

	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 37; i++, next++) {
			uint8_t c = (uint8_t)next;

			assert_int_equal(buf_append(&b, &c, 1), 0);
		}
		for (int i = 0; i < 31; i++, expect++) {
			assert_int_equal(b.data[0], (uint8_t)expect);
			buf_consume(&b, 1);
		}
	}
	assert_int_equal(b.len, next - expect);
	buf_deinit(&b);
	buf_deinit(&b);
}

static void test_take_after_consume(void **state)
{
	struct buf b = { 0 };
	size_t len;
	char *s;

	assert_int_equal(buf_printf(&b, "%s-%d", "hello", 42), 0);
	buf_consume(&b, 2);
	s = buf_take(&b, &len);
	assert_string_equal(s, "llo-42");
	assert_int_equal(len, 6);
	assert_null(b.data);
	free(s);
}

static void test_reserve_overflow(void **state)
{
	struct buf b = { 0 };

	assert_true(buf_reserve(&b, SIZE_MAX - 1) < 0);
	assert_int_equal(buf_append_str(&b, "x"), 0);
	assert_true(buf_reserve(&b, SIZE_MAX / 2) < 0);
	assert_int_equal(b.len, 1);
	buf_deinit_secret(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consume_and_refill),
		cmocka_unit_test(test_take_after_consume),
		cmocka_unit_test(test_reserve_overflow),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
