#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_admin.h"
#include "backend/store_variable.h"
#include "store_fixture.h"

#define MANY SIZE_MAX

static void list(struct store_fixture *f, const char *key, int64_t after,
		 struct reply *reply)
{
	const struct store_change_query query = { .key = key,
						  .after = after,
						  .limit = STORE_LIST_MAX,
						  .max_bytes = MANY };

	assert_int_equal(STORE_WAIT(f, reply, store_change_list, &query), 0);
}

static int64_t put(struct store_fixture *f, const char *key, const char *value)
{
	struct reply reply;

	assert_int_equal(put_variable(f, key, value, STORE_EXPECT_ANY, &reply),
			 0);
	return reply.result.variable.version;
}

static int64_t put_secret(struct store_fixture *f, const char *key,
			  const char *value, enum store_secret secret)
{
	struct store_variable_put p = { .key = key,
					.value = STORE_STR(value),
					.secret = secret,
					.expect = STORE_EXPECT_ANY };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &p), 0);
	return reply.result.variable.version;
}

static int64_t put_large(struct store_fixture *f, const char *key, char digit,
			 size_t len)
{
	char *value = malloc(len + 1);
	int64_t version;

	memset(value, digit, len);
	value[len] = '\0';
	version = put(f, key, value);
	free(value);
	return version;
}

static int64_t rm(struct store_fixture *f, const char *key)
{
	struct store_variable_delete del = { .key = key,
					     .expect = STORE_EXPECT_ANY };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_variable_delete, &del), 0);
	assert_string_equal(reply.result.variable.key, key);
	return reply.result.variable.version;
}

/* Text of what was listed: "k=1@3 k-@4 …", a secret's with '*'. */
static const char *text(const struct reply *reply)
{
	static char out[4096];
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < reply->result.changes.n; i++) {
		const struct store_change *c = &reply->result.changes.items[i];

		at += (size_t)snprintf(
			out + at, sizeof(out) - at, "%s%s%s%s%.*s@%lld",
			i ? " " : "", c->key, c->secret ? "*" : "",
			c->deleted ? "-" : "=", (int)c->value.len,
			c->value.data ? (char *)c->value.data : "",
			(long long)c->version);
		assert_true(at < sizeof(out));
	}
	return out;
}

static void test_every_write_is_a_change(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_increment inc = { .key = "n", .by = "2" };
	struct reply reply;

	list(f, NULL, 0, &reply);
	assert_string_equal(text(&reply), "");
	assert_int_equal(reply.result.changes.position, 0);
	assert_false(reply.result.changes.reset);
	put(f, "a", "1");
	put(f, "b", "[2]");
	STORE_WAIT(f, &reply, store_variable_increment, &inc);
	rm(f, "a");
	put(f, "a", "3");
	STORE_WAIT(f, &reply, store_variable_increment, &inc);
	list(f, NULL, 0, &reply);
	assert_string_equal(text(&reply), "a=@1 b=@2 n=@3 a-@4 a=@5 n=@6");
	assert_int_equal(reply.result.changes.position, 6);
	list(f, "a", 0, &reply);
	assert_string_equal(text(&reply), "a=1@1 a-@4 a=3@5");
	list(f, "a", 1, &reply);
	assert_string_equal(text(&reply), "a-@4 a=3@5");
	list(f, "n", 3, &reply);
	assert_string_equal(text(&reply), "n=4@6");
	assert_int_equal(reply.result.changes.position, 6);
	assert_false(reply.result.changes.more);
	list(f, "none", 0, &reply);
	assert_string_equal(text(&reply), "");
}

static void test_refused_and_repeated_writes_are_none(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put p = { .key = "k",
					.value = STORE_STR("1"),
					.expect = STORE_EXPECT_ABSENT,
					.writer = { "ex_1", "once" } };
	struct store_variable_increment inc = { .key = "k",
						.by = "1",
						.writer = { "ex_1", "more" } };
	struct store_variable_delete del = { .key = "k",
					     .expect = STORE_EXPECT_ANY,
					     .writer = { "ex_1", "rm" } };
	struct reply reply;

	submit_job(f, "job_1");
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &p),
				 0);
		assert_int_equal(reply.result.repeated, i > 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(STORE_WAIT(f, &reply, store_variable_increment,
					    &inc),
				 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			STORE_WAIT(f, &reply, store_variable_delete, &del), 0);
		assert_int_equal(reply.result.variable.version, 3);
	}
	assert_int_equal(put_variable(f, "k", "9", 77, &reply),
			 STORE_E_CONFLICT);
	del.writer = (struct store_writer){ 0 };
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_delete, &del),
			 STORE_E_NOT_FOUND);
	list(f, "k", 0, &reply);
	assert_string_equal(text(&reply), "k=1@1 k=2@2 k-@3");
	assert_int_equal(reply.result.changes.position, 3);
	check_changes(f);
}

static void test_how_it_is_now(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put(f, "k", "1");
	put(f, "k", "{\"b\": 2}");
	list(f, "k", STORE_CHANGES_NONE, &reply);
	assert_int_equal(reply.result.changes.n, 0);
	assert_false(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.now.version, 2);
	assert_string_equal(reply.result.changes.now.value.data, "{\"b\": 2}");
	list(f, "none", STORE_CHANGES_NONE, &reply);
	assert_int_equal(reply.result.changes.now.version, 0);
	assert_int_equal(reply.result.changes.position, 2);
	list(f, NULL, STORE_CHANGES_NONE, &reply);
	assert_int_equal(reply.result.changes.position, 2);
	assert_int_equal(reply.result.changes.n, 0);
}

static void test_pages(void **state)
{
	struct store_fixture *f = *state;
	struct store_change_query query = { .key = "k", .limit = 3 };
	struct reply reply;
	int64_t seen = 0;

	for (int i = 0; i < 10; i++) {
		put(f, "k", "1234567890");
		put(f, "other", "1");
	}
	query.max_bytes = MANY;
	do {
		STORE_WAIT(f, &reply, store_change_list, &query);
		for (size_t i = 0; i < reply.result.changes.n; i++) {
			assert_int_equal(reply.result.changes.items[i].version,
					 2 * seen + 1);
			seen++;
		}
		query.after = 2 * seen - 1;
	} while (reply.result.changes.more);
	assert_int_equal(seen, 10);
	/* By bytes: one is always given. */
	query.after = 0;
	query.max_bytes = 0;
	STORE_WAIT(f, &reply, store_change_list, &query);
	assert_int_equal(reply.result.changes.n, 1);
	assert_true(reply.result.changes.more);
	query.max_bytes = 11;
	STORE_WAIT(f, &reply, store_change_list, &query);
	assert_int_equal(reply.result.changes.n, 2);
	query.after = 17;
	STORE_WAIT(f, &reply, store_change_list, &query);
	assert_int_equal(reply.result.changes.n, 1);
	assert_false(reply.result.changes.more);
}

/* Writes without waiting for each: one transaction takes many. */
static void put_many(struct store_fixture *f, const char *key, size_t n)
{
	const struct store_variable_put p = { .key = key,
					      .value = STORE_STR("1"),
					      .expect = STORE_EXPECT_ANY };

	for (size_t i = 0; i + 1 < n; i++)
		assert_int_equal(store_variable_put(f->store, &p,
						    (struct store_done){ 0 }),
				 0);
	put(f, key, "1");
}

static void test_history_is_trimmed(void **state)
{
	struct store_fixture *f = *state;
	int64_t still, gone, last;
	struct reply reply;

	still = put(f, "still", "\"here\"");
	put(f, "gone", "1");
	gone = rm(f, "gone");
	put_many(f, "noise", STORE_CHANGES_MAX - 1);
	last = gone + STORE_CHANGES_MAX - 1;
	list(f, NULL, last - 1, &reply);
	assert_int_equal(reply.result.changes.position, last);
	/* The deletion is the oldest that is known. */
	list(f, NULL, gone - 1, &reply);
	assert_false(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.items[0].version, gone);
	assert_true(reply.result.changes.more);
	list(f, NULL, gone - 2, &reply);
	assert_true(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.n, 0);
	list(f, "gone", gone - 1, &reply);
	assert_string_equal(text(&reply), "gone-@3");
	list(f, "gone", gone - 2, &reply);
	assert_true(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.now.version, 0);
	/* The key still has this version: whatever was trimmed is not its. */
	for (int64_t after = still; after <= last; after += 500) {
		list(f, "still", after, &reply);
		assert_false(reply.result.changes.reset);
		assert_int_equal(reply.result.changes.n, 0);
	}
	list(f, "still", still - 1, &reply);
	assert_true(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.now.version, still);
	assert_string_equal(reply.result.changes.now.value.data, "\"here\"");
	check_changes(f);
}

static void test_versions_of_another_database(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put(f, "k", "1");
	list(f, NULL, 1, &reply);
	assert_false(reply.result.changes.reset);
	list(f, NULL, 2, &reply);
	assert_true(reply.result.changes.reset);
	list(f, "k", 2, &reply);
	assert_true(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.now.version, 1);
}

static void test_large_values_are_kept_once(void **state)
{
	static const size_t max = STORE_CHANGE_VALUE_MAX_BYTES;
	struct store_fixture *f = *state;
	int64_t first, second;
	struct reply reply;

	put_large(f, "k", '1', max);
	put_large(f, "k", '2', max);
	list(f, "k", 0, &reply);
	assert_int_equal(reply.result.changes.n, 2);
	assert_int_equal(reply.result.changes.items[0].value.len, max);
	first = put_large(f, "k", '3', max + 1);
	/* The newest one is where the variable has it. */
	list(f, "k", 0, &reply);
	assert_false(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.n, 3);
	assert_int_equal(reply.result.changes.items[2].value.len, max + 1);
	assert_memory_equal(reply.result.changes.items[2].value.data, "333", 3);
	second = put_large(f, "k", '4', max + 2);
	list(f, "k", 0, &reply);
	assert_true(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.n, 0);
	assert_int_equal(reply.result.changes.now.version, second);
	assert_int_equal(reply.result.changes.now.value.len, max + 2);
	list(f, "k", first, &reply);
	assert_false(reply.result.changes.reset);
	assert_int_equal(reply.result.changes.n, 1);
	rm(f, "k");
	list(f, "k", second, &reply);
	assert_string_equal(text(&reply), "k-@5");
	list(f, "k", first, &reply);
	assert_true(reply.result.changes.reset);
	/* Without values there is nothing to miss. */
	list(f, NULL, 0, &reply);
	assert_string_equal(text(&reply), "k=@1 k=@2 k=@3 k=@4 k-@5");
}

/* ---------------------------------------------------------- secrets */

static void test_secrets_are_sealed(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put_secret(f, "s", "\"hush-hush-1\"", STORE_SECRET_ON);
	put_secret(f, "s", "\"hush-hush-2\"", STORE_SECRET_KEEP);
	rm(f, "s");
	assert_false(store_fixture_holds(f, "hush-hush"));
	list(f, "s", 0, &reply);
	assert_string_equal(text(&reply), "s*=\"hush-hush-1\"@1 "
					  "s*=\"hush-hush-2\"@2 s*-@3");
	list(f, NULL, 0, &reply);
	assert_string_equal(text(&reply), "s*=@1 s*=@2 s*-@3");
	store_fixture_close(f);
	assert_false(store_fixture_holds(f, "hush-hush"));
	store_fixture_open(f);
}

static void test_what_becomes_a_secret_is_forgotten(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	put_secret(f, "s", "\"open-1\"", STORE_SECRET_KEEP);
	put_secret(f, "other", "\"open-2\"", STORE_SECRET_KEEP);
	put_secret(f, "s", "\"hush\"", STORE_SECRET_ON);
	list(f, "s", 0, &reply);
	assert_true(reply.result.changes.reset);
	assert_string_equal(reply.result.changes.now.value.data, "\"hush\"");
	list(f, "s", 1, &reply);
	assert_string_equal(text(&reply), "s*=\"hush\"@3");
	list(f, "other", 0, &reply);
	assert_string_equal(text(&reply), "other=\"open-2\"@2");
	store_fixture_close(f);
	assert_false(store_fixture_holds(f, "open-1"));
	assert_true(store_fixture_holds(f, "open-2"));
	store_fixture_open(f);
	/* Also one that was deleted in between. */
	rm(f, "other");
	put_secret(f, "other", "\"hush\"", STORE_SECRET_ON);
	store_fixture_close(f);
	assert_false(store_fixture_holds(f, "open-2"));
	store_fixture_open(f);
}

/* A deleted secret binds no database to its master key. */
static void test_another_master_key(void **state)
{
	uint8_t key[VAULT_KEY_BYTES] = { 42 };
	struct store_fixture *f = *state;
	struct reply reply;

	put_secret(f, "s", "\"hush\"", STORE_SECRET_ON);
	rm(f, "s");
	put(f, "k", "1");
	store_fixture_close(f);
	vault_free(f->vault);
	f->vault = NULL;
	assert_int_equal(vault_new(&f->vault, key), 0);
	store_fixture_open(f);
	list(f, "s", 0, &reply);
	assert_true(reply.result.changes.reset);
	list(f, "s", 1, &reply);
	assert_string_equal(text(&reply), "s*-@2");
	list(f, "k", 0, &reply);
	assert_string_equal(text(&reply), "k=1@3");
	check_changes(f);
}

/* ---------------------------------------------------------- audit */

static size_t audited(struct store_fixture *f, const char *job, size_t limit,
		      struct reply *reply)
{
	const struct store_audit_query query = { .job = job, .limit = limit };

	assert_int_equal(STORE_WAIT(f, reply, store_audit_list, &query), 0);
	return reply->result.audit.n;
}

/* What was done to a job, and by its executions, the newest first. */
static void test_audit_of_a_job(void **state)
{
	struct store_fixture *f = *state;
	struct store_variable_put p = { .key = "k",
					.value = STORE_STR("1"),
					.expect = STORE_EXPECT_ANY,
					.writer = { "ex_1", NULL },
					.audit = { .who = "execution:ex_1",
						   .action = "variable.put",
						   .target = "k",
						   .execution = "ex_1" } };
	struct store_audit seen = { .who = "uid:0",
				    .action = "job.cancel",
				    .target = "job_1",
				    .result = "ok",
				    .job = "job_1" };
	struct store_audit other = { .who = "uid:0",
				     .action = "job.cancel",
				     .target = "job_2",
				     .result = "ok",
				     .job = "job_2" };
	struct reply reply;

	submit_job(f, "job_1");
	assert_int_equal(claim_job(f, "ex_1", &reply), 0);
	STORE_WAIT(f, &reply, store_audit_append, &seen);
	STORE_WAIT(f, &reply, store_audit_append, &other);
	assert_int_equal(STORE_WAIT(f, &reply, store_variable_put, &p), 0);
	assert_int_equal(audited(f, "job_1", 10, &reply), 2);
	assert_string_equal(reply.result.audit.items[0].entry.action,
			    "variable.put");
	assert_string_equal(reply.result.audit.items[1].entry.action,
			    "job.cancel");
	assert_int_equal(audited(f, "job_1", 1, &reply), 1);
	assert_true(reply.result.audit.more);
	assert_int_equal(audited(f, "job_2", 10, &reply), 1);
	assert_int_equal(audited(f, "job_3", 10, &reply), 0);
	assert_int_equal(audited(f, NULL, 10, &reply), 3);
}

/* ---------------------------------------------------------- many at once */

static void test_writes_of_one_transaction(void **state)
{
	struct store_fixture *f = *state;
	static struct reply replies[300];
	struct store_variable_increment inc = { .key = "n", .by = "1" };
	struct store_variable_put refused = { .key = "n",
					      .value = STORE_STR("7"),
					      .expect = 100000 };
	struct reply reply;

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		assert_int_equal(
			i % 3 ? store_variable_increment(
					f->store, &inc,
					STORE_DONE(f, &replies[i],
						   store_variable_increment))
			      : store_variable_put(
					f->store, &refused,
					STORE_DONE(f, &replies[i],
						   store_variable_put)),
			0);
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
		assert_int_equal(store_fixture_wait(&replies[i]),
				 i % 3 ? 0 : STORE_E_CONFLICT);
	list(f, "n", 0, &reply);
	assert_int_equal(reply.result.changes.n, 200);
	check_changes(f);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_write_is_a_change),
		T(test_refused_and_repeated_writes_are_none),
		T(test_how_it_is_now),
		T(test_pages),
		T(test_history_is_trimmed),
		T(test_versions_of_another_database),
		T(test_large_values_are_kept_once),
		T(test_secrets_are_sealed),
		T(test_what_becomes_a_secret_is_forgotten),
		T(test_another_master_key),
		T(test_audit_of_a_job),
		T(test_writes_of_one_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
