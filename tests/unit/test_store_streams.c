#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/store_job.h"
#include "backend/store_stream.h"
#include "store_fixture.h"

#define OUT STORE_STREAM_OUTPUT
#define IN STORE_STREAM_INPUT

static int64_t count_lines(const char *text)
{
	int64_t n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

static struct store_stream_append output(const char *text, int64_t from)
{
	return (struct store_stream_append){
		.kind = OUT,
		.writer = { .execution = "ex_1" },
		.from = from,
		.records = STORE_STR(text),
		.n = count_lines(text),
	};
}

static struct store_stream_append input(const char *text, int64_t from)
{
	return (struct store_stream_append){
		.job = "job_1",
		.kind = IN,
		.from = from,
		.records = STORE_STR(text),
		.n = count_lines(text),
	};
}

static int append(struct store_fixture *f, struct store_stream_append a,
		  struct reply *reply)
{
	return STORE_WAIT(f, reply, store_stream_append, &a);
}

static int64_t append_ok(struct store_fixture *f, struct store_stream_append a)
{
	struct reply reply;

	assert_int_equal(append(f, a, &reply), 0);
	assert_string_equal(reply.result.job.id, "job_1");
	return reply.result.stream_append.next;
}

static int read_of(struct store_fixture *f, const char *job,
		   enum store_stream_kind kind, int64_t from, size_t max,
		   struct reply *reply)
{
	struct store_stream_query q = { job, kind, from, max };

	return STORE_WAIT(f, reply, store_stream_read, &q);
}

/* The text of one read of job_1. */
static const char *text_of(struct store_fixture *f, enum store_stream_kind kind,
			   int64_t from, size_t max, struct reply *reply)
{
	const struct store_blob *data = &reply->result.stream.data;
	int64_t n;

	assert_int_equal(read_of(f, "job_1", kind, from, max, reply), 0);
	if (!data->data)
		return "";
	n = count_lines(data->data);
	assert_int_equal(reply->result.stream.n, n);
	assert_int_equal(reply->result.stream.next, from + n);
	assert_int_equal(strlen(data->data), data->len);
	return data->data;
}

static void begin(struct store_fixture *f)
{
	struct store_job_new job = { .id = "job_1",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .input_stream = true,
				     .script = STORE_STR("x") };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	claim_job(f, "ex_1", &reply);
	start_execution(f, "ex_1", 1);
}

static void end_as(struct store_fixture *f, enum job_state state)
{
	struct reply reply;

	assert_int_equal(complete_execution(f, "ex_1", 1, state, &reply), 0);
}

static struct store_result streams_of(struct store_fixture *f, const char *job)
{
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_stream_get, job), 0);
	return reply.result;
}

static void check_state(struct store_fixture *f, enum store_stream_state input,
			enum store_stream_state output)
{
	struct store_result r = streams_of(f, "job_1");

	assert_int_equal(r.streams.input.state, input);
	assert_int_equal(r.streams.output.state, output);
}

/* ---------------------------------------------------------- append and read */

static void test_append_and_read(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "");
	assert_int_equal(append_ok(f, output("a\nbb\n", -1)), 2);
	assert_int_equal(append_ok(f, output("ccc\nd\n", 2)), 4);
	assert_int_equal(append_ok(f, output("", -1)), 4);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "a\nbb\nccc\nd\n");
	assert_int_equal(reply.result.stream.at, 11);
	assert_int_equal(reply.result.stream.records, 4);
	assert_int_equal(reply.result.stream.bytes, 11);
	assert_string_equal(reply.result.stream.job, "job_1");
	assert_string_equal(text_of(f, OUT, 1, 100, &reply), "bb\nccc\nd\n");
	assert_string_equal(text_of(f, OUT, 2, 100, &reply), "ccc\nd\n");
	assert_string_equal(text_of(f, OUT, 3, 100, &reply), "d\n");
	assert_int_equal(reply.result.stream.at, 11);
	assert_string_equal(text_of(f, OUT, 4, 100, &reply), "");
	assert_int_equal(reply.result.stream.at, 11);
	assert_int_equal(read_of(f, "job_1", OUT, 5, 9, &reply),
			 STORE_E_STREAM_GAP);
	assert_int_equal(reply.result.stream.records, 4);
	assert_int_equal(read_of(f, "job_9", OUT, 0, 9, &reply),
			 STORE_E_NOT_FOUND);
	assert_string_equal(text_of(f, IN, 0, 100, &reply), "");
}

/* From every record, with every bound: whole records, at least one. */
static void test_pieces(void **state)
{
	static const char all[] = "a\nbb\nccc\ndddd\neeeee\nf\n";
	static const size_t starts[] = { 0, 2, 5, 9, 14, 20, 22 };
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append_ok(f, output("a\nbb\nccc\n", -1));
	append_ok(f, output("dddd\n", -1));
	append_ok(f, output("eeeee\nf\n", -1));
	for (size_t from = 0; from < 6; from++)
		for (size_t max = 1; max < 25; max++) {
			const char *text = text_of(f, OUT, (int64_t)from, max,
						   &reply);
			size_t len = strlen(text), next = from + 1;

			while (next < 6 &&
			       starts[next + 1] - starts[from] <= max)
				next++;
			assert_int_equal(reply.result.stream.next, next);
			assert_int_equal(len, starts[next] - starts[from]);
			assert_memory_equal(text, all + starts[from], len);
			assert_int_equal(reply.result.stream.at, starts[next]);
		}
}

static void test_repeats_and_gaps(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	assert_int_equal(append_ok(f, output("0\n1\n2\n", 0)), 3);
	assert_int_equal(append(f, output("0\n1\n2\n", 0), &reply), 0);
	assert_int_equal(reply.result.stream_append.next, 3);
	assert_false(reply.result.stream_append.stored);
	assert_int_equal(append(f, output("2\n3\n", 2), &reply), 0);
	assert_int_equal(reply.result.stream_append.next, 4);
	assert_true(reply.result.stream_append.stored);
	assert_int_equal(append_ok(f, output("1\n", 1)), 4);
	assert_int_equal(append_ok(f, output("1\n2\n3\n", 1)), 4);
	assert_int_equal(append(f, output("5\n", 5), &reply),
			 STORE_E_STREAM_GAP);
	assert_int_equal(reply.result.stream_append.next, 4);
	assert_int_equal(append(f, output("", 5), &reply), STORE_E_STREAM_GAP);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "0\n1\n2\n3\n");
}

/* Of two who write by number one is told. */
static void test_conflicts(void **state)
{
	static const char *const others[] = {
		"1x\n",
		"12\n3x\n",
		"12\n",
		"x\n3\n4\n5\n",
	};
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append_ok(f, output("0\n1\n", -1));
	append_ok(f, output("2\n3\n", -1));
	append_ok(f, output("4\n", -1));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(append(f, output(others[i], 1), &reply),
				 STORE_E_CONFLICT);
		assert_int_equal(reply.result.stream_append.next, 5);
	}
	assert_int_equal(append_ok(f, output("1\n2\n3\n4\n5\n", 1)), 6);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply),
			    "0\n1\n2\n3\n4\n5\n");
}

static void test_idempotency_keys(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append a, b;
	struct reply reply;

	begin(f);
	a = output("1\n2\n", -1);
	a.writer.idempotency_key = "k";
	b = input("x\n", -1);
	b.writer.idempotency_key = "k";
	assert_int_equal(append_ok(f, a), 2);
	append_ok(f, output("3\n", -1));
	assert_int_equal(append(f, a, &reply), 0);
	assert_true(reply.result.repeated);
	assert_int_equal(reply.result.stream_append.next, 2);
	assert_false(reply.result.stream_append.stored);
	assert_int_equal(append_ok(f, b), 1);
	assert_int_equal(append_ok(f, b), 1);
	b.records = STORE_STR("y\n");
	assert_int_equal(append(f, b, &reply), STORE_E_KEY_REUSED);
	a.end = true;
	assert_int_equal(append(f, a, &reply), STORE_E_KEY_REUSED);
	a.end = false;
	a.from = 3; /* then the number counts, not the key */
	assert_int_equal(append_ok(f, a), 5);
	assert_int_equal(append_ok(f, a), 5);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "1\n2\n3\n1\n2\n");
	assert_string_equal(text_of(f, IN, 0, 100, &reply), "x\n");
}

static void test_limit(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append a;
	struct reply reply;

	begin(f);
	a = output("12\n", -1);
	a.limit_bytes = 8;
	assert_int_equal(append_ok(f, a), 1);
	assert_int_equal(append_ok(f, a), 2);
	assert_int_equal(append(f, a, &reply), STORE_E_LIMIT);
	assert_int_equal(reply.result.stream_append.next, 2);
	a.from = 1; /* stored before: needs no room */
	assert_int_equal(append_ok(f, a), 2);
	a = output("1\n", 2);
	a.limit_bytes = 8;
	assert_int_equal(append_ok(f, a), 3);
}

/* ---------------------------------------------------------- ends */

static void test_ended(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append last;
	struct reply reply;

	begin(f);
	check_state(f, STORE_STREAM_OPEN, STORE_STREAM_OPEN);
	last = output("1\n2\n", 0);
	last.end = true;
	assert_int_equal(append_ok(f, last), 2);
	check_state(f, STORE_STREAM_OPEN, STORE_STREAM_ENDED);
	text_of(f, OUT, 0, 2, &reply);
	assert_int_equal(reply.result.stream.state, STORE_STREAM_ENDED);
	/* Repeats and questions are fine, records are not. */
	assert_int_equal(append_ok(f, last), 2);
	assert_int_equal(append_ok(f, output("", -1)), 2);
	assert_int_equal(append(f, output("3\n", 2), &reply),
			 STORE_E_STREAM_ENDED);
	assert_int_equal(reply.result.stream_append.next, 2);
	assert_int_equal(append(f, output("3\n", -1), &reply),
			 STORE_E_STREAM_ENDED);
	last = input("", -1);
	last.end = true;
	assert_int_equal(append_ok(f, last), 0);
	assert_int_equal(append(f, input("1\n", -1), &reply),
			 STORE_E_STREAM_ENDED);
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_ENDED);
	end_as(f, JOB_FAILED);
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_ENDED);
}

static void test_success_ends_an_output(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append_ok(f, output("1\n", -1));
	end_as(f, JOB_SUCCEEDED);
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_ENDED);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "1\n");
	assert_int_equal(append(f, output("2\n", -1), &reply), STORE_E_ENDED);
	assert_int_equal(append(f, output("1\n", 0), &reply), STORE_E_ENDED);
}

static void test_failure_breaks_an_output(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append_ok(f, output("1\n", -1));
	end_as(f, JOB_TIMED_OUT);
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_BROKEN);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "1\n");
	assert_int_equal(reply.result.stream.state, STORE_STREAM_BROKEN);
}

static void test_no_input_stream(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_1",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .script = STORE_STR("x") };
	struct reply reply;

	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_OPEN);
	assert_string_equal(text_of(f, IN, 0, 100, &reply), "");
	assert_int_equal(reply.result.stream.state, STORE_STREAM_ENDED);
	assert_int_equal(append(f, input("1\n", -1), &reply),
			 STORE_E_STREAM_ENDED);
	assert_int_equal(append_ok(f, input("", -1)), 0);
}

static void test_unknown_writers(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append a = output("1\n", -1);
	struct reply reply;

	assert_int_equal(append(f, a, &reply), STORE_E_NOT_FOUND);
	assert_int_equal(append(f, input("1\n", -1), &reply),
			 STORE_E_NOT_FOUND);
	assert_int_equal(STORE_WAIT(f, &reply, store_stream_get, "job_1"),
			 STORE_E_NOT_FOUND);
}

/* ---------------------------------------------------------- job → job */

static void test_pipe(void **state)
{
	struct store_fixture *f = *state;
	struct store_job_new job = { .id = "job_2",
				     .name = "a",
				     .runtime = "bash",
				     .executor = "auto",
				     .input_from = "job_1",
				     .input_stream = true,
				     .script = STORE_STR("x") };
	struct store_stream_append a;
	struct store_result s;
	struct reply reply;

	begin(f);
	assert_int_equal(STORE_WAIT(f, &reply, store_job_submit, &job), 0);
	append_ok(f, output("1\n2\n", -1));
	assert_int_equal(read_of(f, "job_2", IN, 1, 9, &reply), 0);
	assert_string_equal(reply.result.stream.data.data, "2\n");
	assert_string_equal(reply.result.stream.job, "job_1");
	assert_int_equal(reply.result.stream.kind, OUT);
	assert_int_equal(reply.result.stream.state, STORE_STREAM_OPEN);
	s = streams_of(f, "job_2");
	assert_string_equal(s.streams.input.from, "job_1");
	assert_int_equal(s.streams.input.records, 2);
	assert_int_equal(s.streams.input.bytes, 4);
	assert_int_equal(s.streams.output.records, 0);
	a = input("x\n", -1);
	a.job = "job_2";
	assert_int_equal(append(f, a, &reply), STORE_E_STREAM_ENDED);
	end_as(f, JOB_FAILED);
	assert_int_equal(read_of(f, "job_2", IN, 2, 9, &reply), 0);
	assert_int_equal(reply.result.stream.state, STORE_STREAM_BROKEN);
	assert_int_equal(streams_of(f, "job_2").streams.input.state,
			 STORE_STREAM_BROKEN);
}

/* ---------------------------------------------------------- sweeping */

static bool sweep(struct store_fixture *f)
{
	struct reply reply;

	assert_int_equal(STORE_WAIT0(f, &reply, store_stream_sweep), 0);
	return reply.result.more;
}

static int64_t input_chunks(struct store_fixture *f)
{
	return store_fixture_sql(
		f, "SELECT count(*) FROM stream_chunks WHERE kind = 0");
}

static void append_big(struct store_fixture *f, size_t len)
{
	char *text = malloc(len + 1);

	memset(text, '1', len);
	text[len - 1] = '\n';
	text[len] = '\0';
	append_ok(f, input(text, -1));
	free(text);
}

static void test_sweep(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append keyed;
	int64_t left;
	struct reply reply;
	int n = 0;

	begin(f);
	keyed = output("1\n", -1);
	keyed.writer.idempotency_key = "k";
	append_ok(f, keyed);
	for (int i = 0; i < 6; i++)
		append_big(f, 1024 * 1024);
	for (int i = 0; i < 10; i++)
		append_ok(f, input("1\n", -1));
	assert_false(sweep(f));
	assert_int_equal(left = input_chunks(f), 16);
	end_as(f, JOB_SUCCEEDED);
	assert_int_equal(read_of(f, "job_1", IN, 0, 100, &reply),
			 STORE_E_ENDED);
	while (sweep(f)) {
		/* A bounded piece at a time, no more than it takes. */
		assert_true(left - input_chunks(f) <= 12);
		left = input_chunks(f);
		assert_true(++n < 10);
	}
	assert_true(n >= 3);
	assert_int_equal(left, 0);
	assert_int_equal(
		store_fixture_sql(f, "SELECT count(*) FROM stream_keys"), 0);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "1\n");
	check_state(f, STORE_STREAM_ENDED, STORE_STREAM_ENDED);
	assert_int_equal(streams_of(f, "job_1").streams.input.records, 16);
	assert_int_equal(append(f, input("1\n", 15), &reply), STORE_E_ENDED);
	assert_int_equal(append_ok(f, input("", -1)), 16);
}

/* ---------------------------------------------------------- faults */

static void test_a_missing_chunk_is_said(void **state)
{
	struct store_fixture *f = *state;
	struct reply reply;

	begin(f);
	append_ok(f, output("1\n2\n", -1));
	append_ok(f, output("3\n", -1));
	store_fixture_sql(f, "DELETE FROM stream_chunks WHERE first = 2");
	assert_string_equal(text_of(f, OUT, 1, 100, &reply), "2\n");
	assert_int_equal(read_of(f, "job_1", OUT, 2, 100, &reply), -EIO);
	assert_non_null(strstr(reply.result.message, "record 2 of job_1"));
}

static void test_reopened(void **state)
{
	struct store_fixture *f = *state;
	struct store_stream_append a;
	struct reply reply;

	begin(f);
	a = output("1\n2\n", -1);
	a.writer.idempotency_key = "k";
	append_ok(f, a);
	store_fixture_close(f);
	store_fixture_open(f);
	assert_int_equal(append_ok(f, a), 2);
	assert_int_equal(append_ok(f, output("3\n", 2)), 3);
	assert_string_equal(text_of(f, OUT, 0, 100, &reply), "1\n2\n3\n");
}

#define T(name)                                                    \
	cmocka_unit_test_setup_teardown(name, store_fixture_setup, \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_append_and_read),
		T(test_pieces),
		T(test_repeats_and_gaps),
		T(test_conflicts),
		T(test_idempotency_keys),
		T(test_limit),
		T(test_ended),
		T(test_success_ends_an_output),
		T(test_failure_breaks_an_output),
		T(test_no_input_stream),
		T(test_unknown_writers),
		T(test_pipe),
		T(test_sweep),
		T(test_a_missing_chunk_is_said),
		T(test_reopened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
