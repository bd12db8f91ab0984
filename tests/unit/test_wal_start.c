#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "wal_writer_fixture.h"

/* --- what an earlier process left ----------------------------------------- */

static void test_torn_tail_is_cut_at_every_byte(void **state)
{
	struct buf whole = { 0 };
	struct writer w;
	size_t last;

	writer_init(&w, *state);
	writer_open(&w);
	writer_append(&w, 10);
	writer_close(&w);
	writer_read_segment(&w, 1, &whole);
	last = whole.len - 1;
	while (whole.data[last - 1] != '\n')
		last--;
	for (size_t len = last; len <= whole.len; len++) {
		bool torn = len > last && len < whole.len;

		wal_fixture_write(w.f, 1, whole.data, len);
		buf_clear(&w.damage);
		writer_open(&w);
		writer_close(&w);
		assert_int_equal(w.damage.len, torn ? strlen("torn ") : 0);
		wal_fixture_expect(w.f, len < whole.len ? "1 2 3 4 5"
							: "1 2 3 4 5 6");
		assert_int_equal(writer_count_segments(&w), 1);
	}
	buf_deinit(&whole);
	writer_deinit(&w);
}

static void test_segment_without_its_first_record_begins_again(void **state)
{
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	wal_fixture_write(w.f, 4, "{\"seq\":4,\"ti", 12);
	writer_open(&w);
	assert_int_equal(w.damage.len, strlen("torn "));
	writer_close(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5 6");
	wal_fixture_write(w.f, 7, "", 0);
	writer_open(&w);
	writer_close(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5 6 7 8 9");
	writer_deinit(&w);
}

static void test_zeros_at_the_end_are_cut(void **state)
{
	static const char zeros[100000];
	struct buf whole = { 0 };
	struct writer w;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	writer_read_segment(&w, 1, &whole);
	assert_int_equal(buf_append_str(&whole, "{\"seq\":"), 0);
	assert_int_equal(buf_append(&whole, zeros, sizeof(zeros)), 0);
	wal_fixture_write(w.f, 1, whole.data, whole.len);
	writer_open(&w);
	writer_close(&w);
	wal_fixture_expect(w.f, "1 2 3 4 5");
	buf_deinit(&whole);
	writer_deinit(&w);
}

static void test_unreadable_middle_stays_as_it_is(void **state)
{
	struct buf whole = { 0 }, after = { 0 };
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	writer_append(&w, 100);
	writer_append(&w, 10);
	writer_close(&w);
	writer_read_segment(&w, 1, &whole);
	for (size_t i = 0; i < whole.len; i += 7) {
		char path[160];

		whole.data[i] ^= 0x10;
		wal_fixture_write(w.f, 1, whole.data, whole.len);
		buf_clear(&w.damage);
		writer_open(&w);
		writer_close(&w);
		assert_true(w.damage.len > 0);
		text = wal_fixture_read(w.f, 0);
		if (!strncmp((char *)w.damage.data, "unreadable", 10)) {
			buf_clear(&after);
			writer_read_segment(&w, 1, &after);
			assert_int_equal(after.len, whole.len);
			assert_memory_equal(after.data, whole.data, after.len);
			assert_non_null(strstr(text, "[unreadable 1 "));
			assert_non_null(strstr(text, "5 6 7 8"));
		}
		free(text);
		whole.data[i] ^= 0x10;
		writer_segment_path(&w, 6, path, sizeof(path));
		unlink(path);
	}
	buf_deinit(&whole);
	buf_deinit(&after);
	writer_deinit(&w);
}

static void test_a_long_unreadable_end_is_kept(void **state)
{
	struct buf whole = { 0 }, after = { 0 };
	struct writer w;
	char *text;

	writer_init(&w, *state);
	writer_open(&w);
	writer_close(&w);
	writer_read_segment(&w, 1, &whole);
	assert_int_equal(buf_append_str(&whole, "one\ntwo\nthree\n"), 0);
	wal_fixture_write(w.f, 1, whole.data, whole.len);
	writer_open(&w);
	writer_close(&w);
	writer_read_segment(&w, 1, &after);
	assert_int_equal(after.len, whole.len);
	text = wal_fixture_read(w.f, 0);
	assert_non_null(strstr(text, "1 2 3 [unreadable 1 "));
	assert_non_null(strstr(text, "+14 4-6] 7 8 9"));
	free(text);
	buf_deinit(&whole);
	buf_deinit(&after);
	writer_deinit(&w);
}

/* --- a process that is killed --------------------------------------------- */

struct shared {
	atomic_llong synced; /* records of the child that are on disk */
};

struct burst {
	struct writer *w;
	struct shared *shared;
	long long appended, begun;
};

static void burst_append(struct burst *b);

static void on_burst_synced(int r, void *ctx)
{
	struct burst *b = ctx;

	b->shared->synced = b->begun;
	b->begun = b->appended;
	burst_append(b);
}

static void burst_append(struct burst *b)
{
	for (int i = 0; i < 20; i++) {
		char job[32];

		snprintf(job, sizeof(job), "job_%lld", b->appended++);
		if (wal_append(b->w->wal, WAL_CLAIMED, job, "ex_1", NULL) < 0)
			_exit(3);
		wal_needed(b->w->wal, wal_seq(b->w->wal));
	}
	b->begun = b->appended;
	if (wal_sync(b->w->wal, on_burst_synced, b) < 0)
		_exit(4);
}

static void child_main(const struct wal_fixture *f, struct shared *shared,
		       long long from)
{
	struct burst b = { .shared = shared, .appended = from, .begun = from };
	struct writer w;

	writer_init(&w, f);
	w.config.segment_bytes = 20000;
	w.config.keep_bytes = 1ULL << 40;
	if (wal_open(&w.wal, &w.config, (char[512]){ 0 }, 512) < 0)
		_exit(2);
	b.w = &w;
	burst_append(&b);
	event_base_dispatch(w.base);
	_exit(5);
}

/* How many claims there are; they are numbered without a gap. */
static long long count_claims(const struct wal_fixture *f)
{
	struct wal_reader *reader;
	struct wal_record record;
	long long found = 0, number;
	struct wal_item item;
	uint64_t last = 0;

	assert_int_equal(wal_reader_new(&reader, f->dir, 0), 0);
	while (!wal_reader_next(reader, &item)) {
		assert_int_equal(item.damage.kind, WAL_DAMAGE_NONE);
		assert_int_equal(item.seq, last + 1);
		last = item.seq;
		assert_int_equal(
			wal_record_decode(item.line, item.len, &record), 0);
		if (record.type == WAL_CLAIMED) {
			assert_int_equal(
				sscanf(record.job, "job_%lld", &number), 1);
			assert_int_equal(number, found);
			found++;
		}
		wal_record_deinit(&record);
	}
	wal_reader_free(reader);
	return found;
}

static void test_killed_writers_lose_nothing(void **state)
{
	struct shared *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct wal_fixture *f = *state;
	long long found = 0;
	unsigned seed = 7;

	assert_ptr_not_equal(shared, MAP_FAILED);
	for (int i = 0; i < 25; i++) {
		long long before = shared->synced, enough;
		int status;
		pid_t pid = fork();

		if (!pid)
			child_main(f, shared, found);
		enough = found + 20 + rand_r(&seed) % 400;
		while (shared->synced < enough) {
			assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
			usleep(200);
		}
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		found = count_claims(f);
		assert_true(shared->synced > before);
		assert_true(found >= shared->synced);
		shared->synced = found;
	}
	munmap(shared, sizeof(*shared));
}

static void test_written_records_outlive_the_process(void **state)
{
	struct wal_fixture *f = *state;
	struct writer w;
	int status;
	pid_t pid = fork();

	if (!pid) {
		writer_init(&w, f);
		if (wal_open(&w.wal, &w.config, (char[512]){ 0 }, 512) < 0 ||
		    wal_append(w.wal, WAL_CLAIMED, "job_1", "ex_1", NULL) < 0 ||
		    wal_write_now(w.wal) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	writer_init(&w, f);
	wal_fixture_expect(w.f, "1 2 3");
	writer_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(test_torn_tail_is_cut_at_every_byte),
		TEST_IN_DIR(test_segment_without_its_first_record_begins_again),
		TEST_IN_DIR(test_zeros_at_the_end_are_cut),
		TEST_IN_DIR(test_unreadable_middle_stays_as_it_is),
		TEST_IN_DIR(test_a_long_unreadable_end_is_kept),
		TEST_IN_DIR(test_killed_writers_lose_nothing),
		TEST_IN_DIR(test_written_records_outlive_the_process),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
