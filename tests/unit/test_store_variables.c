#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_admin.h"
#include "backend/store_job.h"
#include "backend/store_runtime.h"
#include "backend/store_variable.h"
#include "store_fixture.h"

static void test_put_and_get(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	int64_t version;

	assert_int_equal(STORE_WAIT(f, &reply, store_variable_get, "k"),
			 STORE_E_NOT_FOUND);
	assert_int_equal(put_variable(f, "k", "{\"a\": 1}", STORE_EXPECT_ANY,
				      &reply),
			 0);
	assert_true(reply.result.created);
	assert_string_equal(reply.result.variable.value.data, "{\"a\": 1}");
	version = reply.result.variable.version;
	assert_int_equal(put_variable(f, "k", "2", STORE_EXPECT_ANY, &reply),
			 0);
	assert_false(reply.result.created);
	assert_true(reply.result.variable.version > version);
	assert_string_equal(variable_value(f, "k"), "2");
}

static void test_compare_and_set(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	int64_t version;

	assert_int_equal(put_variable(f, "k", "1", STORE_EXPECT_ABSENT, &reply),
			 0);
	version = reply.result.variable.version;
	assert_int_equal(put_variable(f, "k", "2", STORE_EXPECT_ABSENT, &reply),
			 STORE_E_EXISTS);
	assert_int_equal(reply.result.variable.version, version);
	assert_int_equal(put_variable(f, "k", "2", version, &reply), 0);
	assert_int_equal(put_variable(f, "k", "3", version, &reply),
			 STORE_E_CONFLICT);
	assert_int_equal(put_variable(f, "none", "3", version, &reply),
			 STORE_E_CONFLICT);
	assert_int_equal(reply.result.variable.version, 0);
	assert_int_equal(put_variable(f, "none", "3", STORE_EXPECT_PRESENT,
				      &reply),
			 STORE_E_CONFLICT);
	assert_int_equal(
		put_variable(f, "k", "4", STORE_EXPECT_PRESENT, &reply), 0);
	assert_string_equal(variable_value(f, "k"), "4");
}

static int delete_variable(struct store_fixture *f, const char *key,
			   int64_t expect, struct reply *reply)
{
	struct store_variable_delete del = { .key = key, .expect = expect };

	return STORE_WAIT(f, reply, store_variable_delete, &del);
}

static void test_delete_never_reuses_a_version(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;
	int64_t version;

	assert_int_equal(delete_variable(f, "k", STORE_EXPECT_ANY, &reply),
			 STORE_E_NOT_FOUND);
	put_variable(f, "k", "1", STORE_EXPECT_ANY, &reply);
	version = reply.result.variable.version;
	assert_int_equal(delete_variable(f, "k", version + 5, &reply),
			 STORE_E_CONFLICT);
	assert_int_equal(delete_variable(f, "k", version, &reply), 0);
	assert_null(variable_value(f, "k"));
	put_variable(f, "k", "1", STORE_EXPECT_ABSENT, &reply);
	assert_true(reply.result.variable.version > version);
}

static void test_list_by_prefix(void **state)
{
	struct store_fixture *f = *state;
	static const char *const keys[] = { "b", "a.2", "a.1", "a/3", "az" };
	struct store_variable_query query = { .prefix = "a.", .limit = 10 };
	struct reply reply;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		put_variable(f, keys[i], "12", STORE_EXPECT_ANY, &reply);
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_list, &query), 0);
	assert_int_equal(reply.result.variables.n, 2);
	assert_string_equal(reply.result.variables.items[0].key, "a.1");
	assert_int_equal(reply.result.variables.items[0].bytes, 2);
	assert_false(reply.result.variables.more);
	query = (struct store_variable_query){ .after = "a.2", .limit = 2 };
	STORE_WAIT(f, &reply, store_variable_list, &query);
	assert_int_equal(reply.result.variables.n, 2);
	assert_true(reply.result.variables.more);
	assert_string_equal(reply.result.variables.items[1].key, "az");
}

/* ---------------------------------------------------------- increment */

static int increment(struct store_fixture *f, const char *key, const char *by,
		     struct reply *reply)
{
	struct store_variable_increment inc = { .key = key, .by = by };

	return STORE_WAIT(f, reply, store_variable_increment, &inc);
}

static void test_increment(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	assert_int_equal(increment(f, "n", "9223372036854775800", &reply), 0);
	assert_true(reply.result.created);
	assert_int_equal(increment(f, "n", "7", &reply), 0);
	assert_string_equal(reply.result.variable.value.data,
			    "9223372036854775807");
	assert_int_equal(increment(f, "n", "1", &reply), STORE_E_RANGE);
	assert_string_equal(variable_value(f, "n"), "9223372036854775807");
	put_variable(f, "s", "\"x\"", STORE_EXPECT_ANY, &reply);
	assert_int_equal(increment(f, "s", "1", &reply), STORE_E_TYPE);
}

static void test_many_increments_at_once(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_increment inc = { .key = "n", .by = "1" };
	static struct reply replies[100];

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		assert_int_equal(store_variable_increment(
					 f->store, &inc,
					 STORE_DONE(f, &replies[i],
						    store_variable_increment)),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		assert_int_equal(store_fixture_wait(&replies[i]), 0);
	assert_string_equal(variable_value(f, "n"), "100");
}

static void test_one_of_two_racers_wins(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put put = { .key = "k", .value = STORE_STR("2") };
	struct reply first, a, b;

	put_variable(f, "k", "1", STORE_EXPECT_ANY, &first);
	put.expect = first.result.variable.version;
	assert_int_equal(store_variable_put(f->store, &put,
					    STORE_DONE(f, &a,
						       store_variable_put)),
			 0);
	assert_int_equal(store_variable_put(f->store, &put,
					    STORE_DONE(f, &b,
						       store_variable_put)),
			 0);
	assert_int_equal(store_fixture_wait(&a), 0);
	assert_int_equal(store_fixture_wait(&b), STORE_E_CONFLICT);
}

/* ---------------------------------------------------------- secrets */

static int put_secret(struct store_fixture *f, const char *value,
		      enum store_secret secret, struct reply *reply)
{
	struct store_variable_put put = { .key = "k",
					  .value = STORE_STR(value),
					  .secret = secret,
					  .expect = STORE_EXPECT_ANY };

	return STORE_WAIT(f, reply, store_variable_put, &put);
}

static void test_secrets_are_sealed_and_sticky(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put_secret(f, "\"first-plain\"", STORE_SECRET_KEEP, &reply);
	assert_false(reply.result.variable.secret);
	assert_true(store_fixture_holds(f, "first-plain"));
	put_secret(f, "\"hush-hush-1\"", STORE_SECRET_ON, &reply);
	assert_true(reply.result.variable.secret);
	put_secret(f, "\"hush-hush-2\"", STORE_SECRET_KEEP, &reply);
	assert_true(reply.result.variable.secret);
	assert_int_equal(reply.result.variable.bytes, 13);
	assert_string_equal(variable_value(f, "k"), "\"hush-hush-2\"");
	assert_false(store_fixture_holds(f, "hush-hush"));
	put_secret(f, "5", STORE_SECRET_KEEP, &reply);
	increment(f, "k", "1", &reply);
	assert_string_equal(reply.result.variable.value.data, "6");
	assert_true(reply.result.variable.secret);
	put_secret(f, "\"open-again\"", STORE_SECRET_OFF, &reply);
	assert_false(reply.result.variable.secret);
	assert_true(store_fixture_holds(f, "open-again"));
	/* Once the write-ahead log is folded in nothing is left behind. */
	put_secret(f, "\"hush\"", STORE_SECRET_ON, &reply);
	store_fixture_close(f);
	assert_false(store_fixture_holds(f, "first-plain"));
	assert_false(store_fixture_holds(f, "open-again"));
	store_fixture_open(f);
}

/* ---------------------------------------------------------- idempotency */

static void begin(struct store_fixture *f)
{
	struct reply reply;

	submit_job(f, "job_1");
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
}

static int increment_as(struct store_fixture *f, const char *key,
			const char *by, struct reply *reply)
{
	struct store_variable_increment inc = { .key = "n",
						.by = by,
						.writer = { "ex_1", key } };

	return STORE_WAIT(f, reply, store_variable_increment, &inc);
}

static void test_writes_are_repeated_from_memory(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put put = { .key = "s",
					  .value = STORE_STR("\"hush-hush\""),
					  .secret = STORE_SECRET_ON,
					  .expect = STORE_EXPECT_ABSENT,
					  .writer = { "ex_1", "k2" } };
	struct reply reply;
	int64_t version;

	begin(f);
	assert_int_equal(increment_as(f, "k1", "2", &reply), 0);
	version = reply.result.variable.version;
	assert_int_equal(increment_as(f, "k1", "2", &reply), 0);
	assert_true(reply.result.repeated);
	assert_true(reply.result.created);
	assert_int_equal(reply.result.variable.version, version);
	assert_string_equal(reply.result.variable.value.data, "2");
	assert_int_equal(increment_as(f, "k1", "3", &reply),
			 STORE_E_KEY_REUSED);
	assert_string_equal(variable_value(f, "n"), "2");
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &put), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &put), 0);
	assert_true(reply.result.repeated);
	assert_true(reply.result.variable.secret);
	assert_string_equal(reply.result.variable.key, "s");
	assert_false(store_fixture_holds(f, "hush-hush"));
}

static void test_nothing_is_written_after_the_end(void **state)
{
	struct store_fixture *f = *state;
	struct store_output_set set = { .value = STORE_STR("[2]"),
					.writer = { "ex_1", "o" } };
	struct store_condition_set cond = { .value = true,
					    .writer = { "ex_1", NULL } };
	struct reply reply;

	begin(f);
	assert_int_equal(STORE_WAIT(f, &reply, store_condition_get, "ex_1"),
			 STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT(f, &reply, store_output_set, &set), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_output_set, &set), 0);
	assert_true(reply.result.repeated);
	assert_int_equal(STORE_WAIT(f, &reply, store_condition_set, &cond), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_execution_get, "ex_1"), 0);
	assert_int_equal(complete_execution(f, "ex_1", 1, JOB_FAILED, &reply),
			 0);
	assert_int_equal(reply.result.job.output_bytes, 3);
	assert_int_equal(STORE_WAIT(f, &reply, store_output_set, &set),
			 STORE_E_ENDED);
	assert_int_equal(STORE_WAIT(f, &reply, store_condition_set, &cond),
			 STORE_E_ENDED);
	assert_int_equal(increment_as(f, "k", "1", &reply), STORE_E_ENDED);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_read, "job_1",
				    STORE_OUTPUT),
			 0);
	assert_string_equal(reply.result.blob.data, "[2]");
	assert_int_equal(STORE_WAIT(f, &reply, store_condition_get, "ex_1"), 0);
	assert_true(reply.result.condition);
}

/* ---------------------------------------------------------- audit, keys */

static void test_audit_is_part_of_the_write(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put put = { .key = "k",
					  .value = STORE_STR("1"),
					  .expect = STORE_EXPECT_ABSENT,
					  .audit = { .who = "key:1",
						     .action = "variable.put",
						     .target = "k",
						     .execution = "ex_1" } };
	struct store_audit entry = { .who = "execution:ex_1",
				     .action = "token.refuse",
				     .result = "expired" };
	struct store_audit_query query = { .limit = 2 };
	struct reply reply;

	STORE_WAIT(f, &reply, store_variable_put, &put);
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &put),
			 STORE_E_EXISTS);
	assert_int_equal(STORE_WAIT(f, &reply, store_audit_append, &entry), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_audit_list, &query), 0);
	assert_int_equal(reply.result.audit.n, 2);
	assert_true(reply.result.audit.more);
	assert_string_equal(reply.result.audit.items[0].entry.result,
			    "expired");
	assert_string_equal(reply.result.audit.items[1].entry.result, "exists");
	query.before = reply.result.audit.items[1].id;
	query.execution = "ex_1";
	STORE_WAIT(f, &reply, store_audit_list, &query);
	assert_int_equal(reply.result.audit.n, 1);
	assert_string_equal(reply.result.audit.items[0].entry.result, "ok");
	assert_string_equal(reply.result.audit.items[0].entry.target, "k");
}

static void test_api_keys(void **state)
{
	struct store_fixture *f = *state;
	struct store_api_key_new add = {
		.key = { .id = "key_1", .name = "ci", .hash = { 1, 2, 3 } }
	};
	struct store_api_key_delete del = { .id = "key_1" };
	struct reply reply;

	assert_int_equal(STORE_WAIT0(f, &reply, store_api_key_list), 0);
	assert_int_equal(reply.result.api_keys.n, 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_add, &add), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_add, &add),
			 STORE_E_EXISTS);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_touch, "key_1"),
			 0);
	STORE_WAIT0(f, &reply, store_api_key_list);
	assert_int_equal(reply.result.api_keys.n, 1);
	assert_string_equal(reply.result.api_keys.items[0].name, "ci");
	assert_int_equal(reply.result.api_keys.items[0].hash[2], 3);
	assert_true(reply.result.api_keys.items[0].last_used_ms > 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_delete, &del), 0);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_delete, &del),
			 STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT(f, &reply, store_api_key_touch, "key_1"),
			 STORE_E_NOT_FOUND);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_put_and_get),
		T(test_compare_and_set),
		T(test_delete_never_reuses_a_version),
		T(test_list_by_prefix),
		T(test_increment),
		T(test_many_increments_at_once),
		T(test_one_of_two_racers_wins),
		T(test_secrets_are_sealed_and_sticky),
		T(test_writes_are_repeated_from_memory),
		T(test_nothing_is_written_after_the_end),
		T(test_audit_is_part_of_the_write),
		T(test_api_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
