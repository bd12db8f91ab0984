#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/cache.h"

#define TTL_MS 1000
#define MAX_BYTES 4096

static int setup(void **state)
{
	static const struct cache_config config = {
		.max_bytes = MAX_BYTES,
		.ttl_ms = TTL_MS,
	};

	return cache_new((struct cache **)state, &config);
}

static int teardown(void **state)
{
	cache_free(*state);
	return 0;
}

static void store(struct cache *c, const char *key, const char *value,
		  uint64_t version, uint64_t now_ms)
{
	cache_store(c, key, value, strlen(value), version, false, now_ms);
}

static uint64_t bytes(const struct cache *c)
{
	struct cache_stats stats;

	cache_get_stats(c, &stats);
	return stats.bytes;
}

static void test_hit_and_age(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	assert_false(cache_lookup(c, "k", 0, &v));
	store(c, "k", "\"value\"", 7, 100);
	assert_true(cache_lookup(c, "k", 350, &v));
	assert_true(v.present);
	assert_true(v.fresh);
	assert_false(v.secret);
	assert_int_equal(v.len, 7);
	assert_memory_equal(v.value, "\"value\"", 7);
	assert_string_equal(v.etag, "\"7\"");
	assert_int_equal(v.version, 7);
	assert_int_equal(v.age_ms, 250);
	assert_false(cache_lookup(c, "K", 350, &v));
	assert_false(cache_lookup(c, "", 350, &v));
}

static void test_stale_after_ttl(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	store(c, "k", "1", 1, 0);
	assert_true(cache_lookup(c, "k", TTL_MS - 1, &v));
	assert_true(v.fresh);
	assert_true(cache_lookup(c, "k", TTL_MS, &v));
	assert_false(v.fresh);
	assert_memory_equal(v.value, "1", 1);
	/* The same version again is fresh again. */
	store(c, "k", "1", 1, TTL_MS);
	assert_true(cache_lookup(c, "k", TTL_MS, &v));
	assert_true(v.fresh);
	assert_int_equal(v.age_ms, 0);
}

static void test_absent(void **state)
{
	static const struct cache_config config = { MAX_BYTES, 3600000 };
	struct cache *c = *state, *patient;
	struct cache_view v;

	cache_store_absent(c, "k", 0);
	assert_true(cache_lookup(c, "k", TTL_MS - 1, &v));
	assert_false(v.present);
	assert_true(v.fresh);
	assert_int_equal(v.len, 0);
	assert_true(cache_lookup(c, "k", TTL_MS, &v));
	assert_false(v.fresh);
	/* However long values are believed, absence is not. */
	assert_int_equal(cache_new(&patient, &config), 0);
	cache_store_absent(patient, "k", 0);
	assert_true(cache_lookup(patient, "k", CACHE_ABSENT_TTL_MS, &v));
	assert_false(v.fresh);
	cache_free(patient);
	/* It came into being. */
	store(c, "k", "1", 1, 10);
	assert_true(cache_lookup(c, "k", 10, &v));
	assert_true(v.present);
	cache_store_absent(c, "k", 20);
	assert_true(cache_lookup(c, "k", 20, &v));
	assert_false(v.present);
}

static void test_older_version_is_ignored(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	store(c, "k", "new", 5, 0);
	store(c, "k", "old", 4, 1);
	assert_true(cache_lookup(c, "k", 2, &v));
	assert_memory_equal(v.value, "new", 3);
	store(c, "k", "newer", 6, 3);
	assert_true(cache_lookup(c, "k", 4, &v));
	assert_memory_equal(v.value, "newer", 5);
}

static void test_drop(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	store(c, "k", "1", 1, 0);
	cache_drop(c, "k");
	cache_drop(c, "k");
	assert_false(cache_lookup(c, "k", 0, &v));
	assert_int_equal(bytes(c), 0);
}

static void test_drop_older(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	assert_false(cache_drop_older(c, "k", 9));
	store(c, "k", "1", 5, 0);
	assert_false(cache_drop_older(c, "other", 9));
	assert_false(cache_drop_older(c, "k", 4));
	/* Our own write, told of again. */
	assert_false(cache_drop_older(c, "k", 5));
	assert_true(cache_lookup(c, "k", 0, &v));
	assert_true(cache_drop_older(c, "k", 6));
	assert_false(cache_lookup(c, "k", 0, &v));
	/* It was written, so it is there. */
	cache_store_absent(c, "k", 0);
	assert_true(cache_drop_older(c, "k", 1));
	assert_false(cache_lookup(c, "k", 0, &v));
	assert_int_equal(bytes(c), 0);
}

static void test_drop_all_older(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	assert_int_equal(cache_drop_all_older(c, 9), 0);
	store(c, "a", "1", 1, 0);
	store(c, "b", "1", 5, 0);
	store(c, "c", "1", 6, 0);
	cache_store_absent(c, "d", 0);
	assert_int_equal(cache_drop_all_older(c, 5), 2);
	assert_false(cache_lookup(c, "a", 0, &v));
	assert_true(cache_lookup(c, "b", 0, &v));
	assert_true(cache_lookup(c, "c", 0, &v));
	assert_false(cache_lookup(c, "d", 0, &v));
	assert_int_equal(cache_drop_all_older(c, UINT64_MAX), 2);
	assert_int_equal(bytes(c), 0);
}

static void test_least_used_goes_first(void **state)
{
	char value[1000];
	struct cache *c = *state;
	struct cache_stats stats;
	struct cache_view v;

	memset(value, 'x', sizeof(value));
	cache_store(c, "a", value, sizeof(value), 1, false, 0);
	cache_store(c, "b", value, sizeof(value), 2, false, 0);
	cache_store(c, "c", value, sizeof(value), 3, false, 0);
	assert_true(cache_lookup(c, "a", 0, &v));
	cache_store(c, "d", value, sizeof(value), 4, false, 0);
	assert_true(cache_lookup(c, "a", 0, &v));
	assert_false(cache_lookup(c, "b", 0, &v));
	assert_true(cache_lookup(c, "c", 0, &v));
	assert_true(cache_lookup(c, "d", 0, &v));
	cache_get_stats(c, &stats);
	assert_int_equal(stats.entries, 3);
	assert_int_equal(stats.evictions, 1);
	assert_true(stats.bytes <= MAX_BYTES);
}

static void test_bound_in_bytes(void **state)
{
	struct cache *c = *state;
	struct cache_stats stats;
	char key[16];

	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		store(c, key, "{}", (uint64_t)i, 0);
		assert_true(bytes(c) <= MAX_BYTES);
	}
	cache_get_stats(c, &stats);
	assert_true(stats.entries > 10);
	assert_int_equal(stats.entries + stats.evictions, 10000);
}

static void test_too_large_is_forgotten(void **state)
{
	static char large[MAX_BYTES];
	struct cache *c = *state;
	struct cache_view v;

	store(c, "k", "1", 1, 0);
	store(c, "other", "1", 1, 0);
	/* Neither the new value, nor the old one that is wrong by now. */
	cache_store(c, "k", large, sizeof(large), 2, false, 0);
	assert_false(cache_lookup(c, "k", 0, &v));
	assert_true(cache_lookup(c, "other", 0, &v));
}

static void test_no_room_at_all(void **state)
{
	static const struct cache_config config = { 0, TTL_MS };
	struct cache_view v;
	struct cache *c;

	assert_int_equal(cache_new(&c, &config), 0);
	store(c, "k", "1", 1, 0);
	cache_store_absent(c, "l", 0);
	assert_false(cache_lookup(c, "k", 0, &v));
	assert_false(cache_lookup(c, "l", 0, &v));
	cache_free(c);
}

static void test_empty_and_binary_values(void **state)
{
	struct cache *c = *state;
	struct cache_view v;

	cache_store(c, "k", "a\0b", 3, 1, true, 0);
	assert_true(cache_lookup(c, "k", 0, &v));
	assert_int_equal(v.len, 3);
	assert_memory_equal(v.value, "a\0b", 3);
	assert_true(v.secret);
	cache_store(c, "k", "", 0, 2, false, 0);
	assert_true(cache_lookup(c, "k", 0, &v));
	assert_int_equal(v.len, 0);
	assert_true(v.present);
}

static void test_etags(void **state)
{
	static const char *const bad[] = { "",
					   "\"\"",
					   "7",
					   "\"7",
					   "\"x\"",
					   "\"-1\"",
					   "\"7\"x",
					   "W/\"7\"",
					   "\" 7\"",
					   "*",
					   "\"18446744073709551616\"" };
	uint64_t version;

	assert_int_equal(cache_parse_etag("\"42\"", &version), 0);
	assert_int_equal(version, 42);
	assert_int_equal(cache_parse_etag("\"18446744073709551615\"", &version),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cache_parse_etag(bad[i], &version), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_hit_and_age),    TEST(test_stale_after_ttl),
		TEST(test_absent),         TEST(test_older_version_is_ignored),
		TEST(test_drop),           TEST(test_least_used_goes_first),
		TEST(test_drop_older),     TEST(test_drop_all_older),
		TEST(test_bound_in_bytes), TEST(test_too_large_is_forgotten),
		TEST(test_no_room_at_all), TEST(test_empty_and_binary_values),
		TEST(test_etags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
