#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/wal/record.h"
#include "wal_fixture.h"

/* Bit by bit, as the polynomial 0x1edc6f41 has it. */
static uint32_t slow_crc32c(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void test_record_is_written_like_this(void **state)
{
	static const char text[] = "{\"seq\":7,\"time_ms\":1700000000000,"
				   "\"type\":\"claimed\",\"job\":\"job_1\","
				   "\"execution\":\"ex_1\","
				   "\"data\":{\"epoch\":3}";
	json_t *data = json_pack("{s:i}", "epoch", 3);
	const struct wal_record record = { .seq = 7,
					   .time_ms = 1700000000000,
					   .type = WAL_CLAIMED,
					   .job = "job_1",
					   .execution = "ex_1",
					   .data = data };
	struct buf b = { 0 };
	char expected[256];

	/* The value that every description of CRC-32C has. */
	assert_int_equal(slow_crc32c("123456789", 9), 0xe3069283);
	snprintf(expected, sizeof(expected), "%s,\"crc32c\":\"%08x\"}\n", text,
		 slow_crc32c(text, strlen(text)));
	assert_int_equal(wal_record_encode(&b, &record, NULL), 0);
	assert_non_null(buf_cstr(&b));
	assert_string_equal((char *)b.data, expected);
	buf_deinit(&b);
	json_decref(data);
}

static void test_record_comes_back(void **state)
{
	json_t *data = json_pack("{s:s, s:{s:i}}", "text",
				 "a\nb\tc\"\x7f\xc3\xa4", "nested", "seq", 1);
	const struct wal_record in = { .seq = INT64_MAX,
				       .time_ms = -1,
				       .type = WAL_GUARD_CLOSED,
				       .data = data };
	struct wal_record out;
	struct buf b = { 0 };
	uint32_t crc, again;
	uint64_t seq;

	assert_int_equal(wal_record_encode(&b, &in, &crc), 0);
	assert_ptr_equal(memchr(b.data, '\n', b.len), b.data + b.len - 1);
	assert_true(wal_record_check((char *)b.data, b.len - 1, &seq, &again));
	assert_int_equal(seq, INT64_MAX);
	assert_int_equal(crc, again);
	assert_int_equal(wal_record_decode((char *)b.data, b.len - 1, &out), 0);
	assert_int_equal(out.time_ms, -1);
	assert_int_equal(out.type, WAL_GUARD_CLOSED);
	assert_string_equal(out.type_name, "guard_closed");
	assert_string_equal(out.job, "");
	assert_string_equal(out.execution, "");
	assert_true(json_equal(out.data, data));
	wal_record_deinit(&out);
	json_decref(data);
	buf_deinit(&b);
}

static void test_every_type_has_its_name(void **state)
{
	for (int i = 0; i < WAL_UNKNOWN; i++)
		assert_int_equal(wal_type_parse(wal_type_name(i)), i);
	assert_int_equal(wal_type_parse("of_a_newer_version"), WAL_UNKNOWN);
	assert_int_equal(wal_type_parse("unknown"), WAL_UNKNOWN);
}

static void test_record_has_a_limit(void **state)
{
	struct wal_record record = { .seq = 1, .type = WAL_OUTPUT };
	struct buf b = { 0 };
	size_t overhead;
	uint32_t crc;

	wal_fixture_add(&b, 1, WAL_OUTPUT, "ex_1", 0, &crc);
	overhead = b.len;
	buf_clear(&b);
	wal_fixture_add(&b, 1, WAL_OUTPUT, "ex_1",
			WAL_RECORD_MAX_BYTES - 19 - overhead, &crc);
	assert_int_equal(b.len, WAL_RECORD_MAX_BYTES - 19);
	record.data = json_pack("{s:s%}", "text", b.data, b.len);
	assert_int_equal(wal_record_encode(&b, &record, NULL), -EMSGSIZE);
	assert_int_equal(b.len, WAL_RECORD_MAX_BYTES - 19);
	json_decref((json_t *)record.data);
	buf_deinit(&b);
}

static void test_record_gets_another_number(void **state)
{
	struct buf b = { 0 }, wanted = { 0 };
	uint32_t crc, other;

	wal_fixture_add(&b, 9, WAL_STARTED, "ex_1", 10, &crc);
	assert_int_equal(wal_record_renumber(&wanted, (char *)b.data, b.len,
					     100, &other),
			 0);
	assert_int_not_equal(crc, other);
	buf_clear(&b);
	assert_int_equal(wal_record_renumber(&b, (char *)wanted.data,
					     wanted.len, 9, &other),
			 0);
	assert_int_equal(crc, other);
	buf_deinit(&b);
	buf_deinit(&wanted);
}

static void test_no_byte_of_a_record_may_change(void **state)
{
	struct buf b = { 0 };
	uint32_t crc;
	uint64_t seq;

	wal_fixture_add(&b, 3, WAL_CLAIMED, "ex_1", 20, &crc);
	for (size_t i = 0; i < b.len - 1; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (uint8_t)(1 << bit);
			assert_false(wal_record_check((char *)b.data, b.len - 1,
						      &seq, &crc));
			b.data[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t len = 0; len < b.len - 1; len++)
		assert_false(wal_record_check((char *)b.data, len, &seq, &crc));
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_is_written_like_this),
		cmocka_unit_test(test_record_comes_back),
		cmocka_unit_test(test_every_type_has_its_name),
		cmocka_unit_test(test_record_has_a_limit),
		cmocka_unit_test(test_record_gets_another_number),
		cmocka_unit_test(test_no_byte_of_a_record_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
