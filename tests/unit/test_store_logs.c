#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_log.h"
#include "backend/store_queue.h"
#include "store_fixture.h"

static struct store_log_chunk out(const char *s)
{
	return (struct store_log_chunk){ STORE_STDOUT, STORE_STR(s) };
}

static struct store_log_chunk err(const char *s)
{
	return (struct store_log_chunk){ STORE_STDERR, STORE_STR(s) };
}

static int append_limited(struct store_fixture *f, const char *execution,
			  int64_t epoch, int64_t offset,
			  const struct store_log_chunk *chunks, size_t n,
			  int64_t limit, struct reply *reply)
{
	struct store_log_append append = {
		.lease = { execution, epoch },
		.offset = offset,
		.chunks = chunks,
		.n = n,
		.limit_bytes = limit,
		.limit_notice = limit ? "full\n" : NULL,
	};

	return STORE_WAIT(f, reply, store_log_append, &append);
}

static int append(struct store_fixture *f, int64_t offset, const char *text,
		  struct reply *reply)
{
	struct store_log_chunk chunk = out(text);

	return append_limited(f, "ex_1", 1, offset, &chunk, 1, 0, reply);
}

static const char *read_log(struct store_fixture *f, int64_t offset, size_t max,
			    struct reply *reply)
{
	struct store_log_query query = { "job_1", offset, max };

	assert_int_equal(STORE_WAIT(f, reply, store_log_read, &query), 0);
	return reply->log ? reply->log : "";
}

static void begin(struct store_fixture *f)
{
	struct reply reply;

	submit_job(f, "job_1");
	claim_job(f, "ex_1", &reply);
	start_execution(f, "ex_1", 1);
}

static void test_append_and_read(void **state)
{
	struct store_fixture *f = *state;
	struct store_log_chunk chunks[] = { out("ab"), out("cd"), err("ef"),
					    out("gh") };
	struct reply reply;

	begin(f);
	assert_string_equal(read_log(f, 0, 100, &reply), "");
	assert_int_equal(append_limited(f, "ex_1", 1, 0, chunks, 4, 0, &reply),
			 0);
	assert_int_equal(reply.result.log_append.next, 8);
	assert_true(reply.result.log_append.stored);
	assert_string_equal(reply.result.job.id, "job_1");
	assert_string_equal(read_log(f, 0, 100, &reply), "o:abcde:efo:gh");
	assert_int_equal(reply.result.log.next, 8);
	assert_int_equal(reply.result.log.total, 8);
	assert_int_equal(reply.result.job.state, JOB_RUNNING);
	assert_string_equal(read_log(f, 3, 2, &reply), "o:de:e");
	assert_int_equal(reply.result.log.next, 5);
	assert_string_equal(read_log(f, 5, 100, &reply), "e:fo:gh");
	assert_string_equal(read_log(f, 8, 100, &reply), "");
	assert_string_equal(read_log(f, 99, 100, &reply), "");
}

static void test_repeats_and_gaps(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	assert_int_equal(append(f, 0, "hello ", &reply), 0);
	assert_int_equal(append(f, 0, "hello ", &reply), 0);
	assert_false(reply.result.log_append.stored);
	assert_int_equal(append(f, 3, "lo world", &reply), 0);
	assert_int_equal(reply.result.log_append.next, 11);
	assert_int_equal(append(f, 20, "x", &reply), STORE_E_LOG_GAP);
	assert_int_equal(reply.result.log_append.next, 11);
	assert_string_equal(read_log(f, 0, 100, &reply), "o:hello o:world");
}

static void test_limit_counts_what_it_drops(void **state)
{
	struct store_fixture *f = *state;
	struct store_log_chunk chunk = out("12345\xc3\xa9"); /* é */
	struct reply reply;

	begin(f);
	assert_int_equal(append_limited(f, "ex_1", 1, 0, &chunk, 1, 6, &reply),
			 0);
	assert_int_equal(reply.result.log_append.next, 7);
	assert_true(reply.result.log_append.full);
	chunk = out("x");
	assert_int_equal(append_limited(f, "ex_1", 1, 7, &chunk, 1, 6, &reply),
			 0);
	assert_int_equal(reply.result.log_append.next, 8);
	assert_false(reply.result.log_append.stored);
	assert_string_equal(read_log(f, 0, 100, &reply), "o:12345n:full\n");
	assert_int_equal(reply.result.job.log_bytes, 10);
	assert_int_equal(reply.result.job.log_dropped_bytes, 3);
}

static void test_big_chunks_are_split(void **state)
{
	struct store_fixture *f = *state;
	size_t len = 700000, at = 0;
	char *big = malloc(len + 1);
	struct reply reply;

	for (size_t i = 0; i < len; i++)
		big[i] = (char)('a' + i % 23);
	big[len] = '\0';
	begin(f);
	assert_int_equal(append(f, 0, big, &reply), 0);
	while (at < len) {
		struct store_log_query query = { "job_1", (int64_t)at, 99999 };

		assert_int_equal(STORE_WAIT(f, &reply, store_log_read, &query),
				 0);
		assert_true(reply.result.log.next > (int64_t)at);
		/* The first chunk only: the fixture marks each. */
		assert_int_equal(reply.log[2], big[at]);
		at = (size_t)reply.result.log.next;
	}
	assert_int_equal(at, len);
	free(big);
}

static void test_log_goes_on_after_a_new_claim(void **state)
{
	struct store_fixture *f = *state;
	struct store_lease lease = { "ex_1", 1 };
	struct store_log_chunk chunk = { STORE_NOTICE, STORE_STR("pull\n") };
	struct reply reply;

	submit_job(f, "job_1");
	claim_job(f, "ex_1", &reply);
	assert_int_equal(append_limited(f, "ex_1", 1, 0, &chunk, 1, 0, &reply),
			 0);
	STORE_WAIT(f, &reply, store_queue_give_back,
		   &(struct store_give_back){ .lease = lease });
	assert_int_equal(append_limited(f, "ex_1", 1, 5, &chunk, 1, 0, &reply),
			 STORE_E_STALE_EPOCH);
	claim_job(f, "ex_2", &reply);
	chunk = out("hi");
	assert_int_equal(append_limited(f, "ex_2", 2, 0, &chunk, 1, 0, &reply),
			 0);
	assert_string_equal(read_log(f, 0, 100, &reply), "n:pull\no:hi");
	assert_int_equal(reply.result.job.log_bytes, 7);
}

static void test_no_log_after_the_end(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append(f, 0, "abc", &reply);
	complete_execution(f, "ex_1", 1, JOB_SUCCEEDED, &reply);
	assert_int_equal(append(f, 0, "abc", &reply), 0);
	assert_int_equal(append(f, 0, "abcd", &reply), STORE_E_ENDED);
	assert_string_equal(read_log(f, 0, 9, &reply), "o:abc");
	assert_int_equal(reply.result.job.state, JOB_SUCCEEDED);
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_append_and_read),
		T(test_repeats_and_gaps),
		T(test_limit_counts_what_it_drops),
		T(test_big_chunks_are_split),
		T(test_log_goes_on_after_a_new_claim),
		T(test_no_log_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
