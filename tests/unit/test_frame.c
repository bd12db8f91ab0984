#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* after the four headers above */
#include <cmocka.h>

#include "common/frame.h"

static uint8_t *pattern_new(size_t len)
{
	uint8_t *p = malloc(len + 1);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 31 + i / 251);
	return p;
}

static void test_one_frame_is_header_and_payload(void **state)
{
	static const uint8_t expected[] = { 1, 0, 0, 0, 2, 'h', 'i' };
	struct buf b = { 0 };

	assert_int_equal(frame_append(&b, FRAME_STDOUT, "hi", 2), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	buf_deinit(&b);
}

static void test_empty_message(void **state)
{
	struct frame_decoder d = { 0 };
	struct buf b = { 0 };
	struct frame f;

	assert_int_equal(frame_append(&b, FRAME_DRAIN, NULL, 0), 0);
	assert_int_equal(b.len, FRAME_HEADER_BYTES);
	assert_int_equal(frame_decoder_feed(&d, b.data, b.len), 0);
	assert_int_equal(frame_decoder_next(&d, &f), 0);
	assert_int_equal(f.type, FRAME_DRAIN);
	assert_int_equal(f.len, 0);
	assert_int_equal(frame_decoder_next(&d, &f), FRAME_E_AGAIN);
	buf_deinit(&b);
	frame_decoder_deinit(&d);
}

/* Every length around the border of a frame, fed in pieces of every size. */
static void round_trip(size_t len, size_t piece)
{
	uint8_t *payload = pattern_new(len);
	struct frame_decoder d = { 0 };
	struct buf b = { 0 };
	struct frame f;
	size_t got = 0;

	for (int i = 0; i < 2; i++)
		assert_int_equal(frame_append(&b, FRAME_INPUT, payload, len),
				 0);
	while (b.len) {
		size_t n = MIN(piece, b.len);
		int r;

		assert_int_equal(frame_decoder_feed(&d, b.data, n), 0);
		buf_consume(&b, n);
		while ((r = frame_decoder_next(&d, &f)) == 0) {
			assert_int_equal(f.type, FRAME_INPUT);
			assert_int_equal(f.len, len);
			if (len)
				assert_memory_equal(f.payload, payload, len);
			got++;
		}
		assert_int_equal(r, FRAME_E_AGAIN);
	}
	assert_int_equal(got, 2);
	frame_decoder_deinit(&d);
	buf_deinit(&b);
	free(payload);
}

static void test_round_trips(void **state)
{
	static const size_t lens[] = { 0,     1,      65535,  65536,
				       65537, 131072, 131073, 1000000 };
	static const size_t pieces[] = { 1000, 4096, 65541, 10000000 };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		for (size_t j = 0; j < ARRAY_SIZE(pieces); j++)
			round_trip(lens[i], pieces[j]);
	for (size_t len = 0; len < 20; len++)
		round_trip(len, 1);
}

static int decode(const void *bytes, size_t len, size_t max)
{
	struct frame_decoder d = { .max_message_bytes = max };
	struct frame f;
	int r;

	assert_int_equal(frame_decoder_feed(&d, bytes, len), 0);
	do {
		r = frame_decoder_next(&d, &f);
	} while (r == 0);
	frame_decoder_deinit(&d);
	return r;
}

#define DECODE(bytes) decode(bytes, sizeof(bytes) - 1, 0)

static void test_what_is_refused(void **state)
{
	/* unknown types, with and without FRAME_MORE */
	assert_int_equal(DECODE("\x00\0\0\0\0"), FRAME_E_INVALID);
	assert_int_equal(DECODE("\x7f\0\0\0\0"), FRAME_E_INVALID);
	assert_int_equal(DECODE("\xff\0\0\0\0"), FRAME_E_INVALID);
	/* one byte over the payload's limit, and far over */
	assert_int_equal(DECODE("\x01\0\1\0\1"), FRAME_E_INVALID);
	assert_int_equal(DECODE("\x01\xff\xff\xff\xff"), FRAME_E_INVALID);
	/* a message that changes its type on the way */
	assert_int_equal(DECODE("\x81\0\0\0\1x\x02\0\0\0\1y"), FRAME_E_INVALID);
	/* exactly the limit is only incomplete */
	assert_int_equal(DECODE("\x01\0\1\0\0"), FRAME_E_AGAIN);
	assert_int_equal(DECODE("\x01\0\0\0"), FRAME_E_AGAIN);
	assert_int_equal(DECODE(""), FRAME_E_AGAIN);
}

static void test_message_limit(void **state)
{
	static const char parts[] = "\x81\0\0\0\4abcd\x01\0\0\0\1e";

	assert_int_equal(decode(parts, sizeof(parts) - 1, 5), FRAME_E_AGAIN);
	assert_int_equal(decode(parts, sizeof(parts) - 1, 4), FRAME_E_INVALID);
}

static void test_every_type_has_a_name(void **state)
{
	assert_string_equal(frame_type_name(FRAME_STDOUT), "STDOUT");
	assert_string_equal(frame_type_name(FRAME_EXIT), "EXIT");
	assert_string_equal(frame_type_name(FRAME_REVOKE), "REVOKE");
	assert_string_equal(frame_type_name(FRAME_DISMISS), "DISMISS");
	assert_string_equal(frame_type_name(FRAME_EVENT), "EVENT");
	assert_string_equal(frame_type_name(39), "?");
	assert_string_equal(frame_type_name(200), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_frame_is_header_and_payload),
		cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_message_limit),
		cmocka_unit_test(test_every_type_has_a_name),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
