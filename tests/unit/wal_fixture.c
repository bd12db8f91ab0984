#include "wal_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/file.h"

int wal_fixture_set_up(void **state)
{
	struct wal_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->data_dir, sizeof(f->data_dir), "/tmp/test_wal.XXXXXX");
	assert_non_null(mkdtemp(f->data_dir));
	snprintf(f->dir, sizeof(f->dir), "%s/wal", f->data_dir);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	*state = f;
	return 0;
}

static int fixture_remove(const char *path, const struct stat *st, int type,
			  struct FTW *ftw)
{
	return remove(path);
}

int wal_fixture_tear_down(void **state)
{
	struct wal_fixture *f = *state;

	assert_int_equal(
		nftw(f->data_dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

void wal_fixture_begin(struct buf *b, uint64_t seq, uint64_t needed,
		       uint32_t *crc)
{
	char previous[16];
	json_t *data;
	const struct wal_record record = { .seq = seq, .type = WAL_SEGMENT };
	struct wal_record full = record;

	snprintf(previous, sizeof(previous), "%08x", *crc);
	data = json_pack("{s:i, s:s, s:I}", "version", WAL_VERSION, "previous",
			 previous, "needed", (json_int_t)needed);
	full.data = data;
	assert_int_equal(wal_record_encode(b, &full, crc), 0);
	json_decref(data);
}

void wal_fixture_add(struct buf *b, uint64_t seq, enum wal_type type,
		     const char *execution, size_t data_bytes, uint32_t *crc)
{
	char *text = malloc(data_bytes + 1);
	struct wal_record record = { .seq = seq,
				     .time_ms = (int64_t)seq * 10,
				     .type = type,
				     .job = "job_1",
				     .execution = execution };
	json_t *data;

	memset(text, 'x', data_bytes);
	text[data_bytes] = '\0';
	data = json_pack("{s:s, s:I}", "text", text, "n", (json_int_t)seq);
	record.data = data;
	assert_int_equal(wal_record_encode(b, &record, crc), 0);
	json_decref(data);
	free(text);
}

void wal_fixture_write(const struct wal_fixture *f, uint64_t first,
		       const void *data, size_t len)
{
	char name[WAL_SEGMENT_NAME_BYTES], path[160];

	wal_segment_name(first, name);
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(file_replace(path, data, len, 0600), 0);
}

static void fixture_say(struct buf *out, const struct wal_damage *d)
{
	assert_int_equal(buf_printf(out, "[%s %llu %llu+%llu %llu-%llu] ",
				    wal_damage_name(d->kind),
				    strtoull(d->file, NULL, 10),
				    (unsigned long long)d->offset,
				    (unsigned long long)d->len,
				    (unsigned long long)d->missing_first,
				    (unsigned long long)d->missing_last),
			 0);
}

char *wal_fixture_read(const struct wal_fixture *f, uint64_t from)
{
	struct wal_reader *reader;
	struct wal_record record;
	struct buf out = { 0 };
	struct wal_item item;
	char *text;
	int r;

	assert_int_equal(wal_reader_new(&reader, f->dir, from), 0);
	while (!(r = wal_reader_next(reader, &item))) {
		if (item.damage.kind) {
			fixture_say(&out, &item.damage);
			continue;
		}
		assert_int_equal(
			wal_record_decode(item.line, item.len, &record), 0);
		assert_int_equal(record.seq, item.seq);
		wal_record_deinit(&record);
		assert_int_equal(buf_printf(&out, "%llu ",
					    (unsigned long long)item.seq),
				 0);
	}
	assert_int_equal(r, WAL_READ_E_END);
	if (wal_reader_tail(reader, &item.damage))
		fixture_say(&out, &item.damage);
	wal_reader_free(reader);
	if (out.len)
		out.len--;
	assert_non_null(buf_cstr(&out));
	text = buf_take(&out, NULL);
	return text;
}

void wal_fixture_expect(const struct wal_fixture *f, const char *expected)
{
	char *text = wal_fixture_read(f, 0);

	assert_string_equal(text, expected);
	free(text);
}
