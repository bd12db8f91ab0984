#include "cli/wal_view.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "common/buf.h"
#include "common/json.h"

/* Of `data` in a line for people. */
#define VIEW_DATA_BYTES 160
#define VIEW_TEXT_BYTES 256
#define VIEW_TIME_BYTES 32

bool wal_filter_matches(const struct wal_filter *f,
			const struct wal_record *record)
{
	bool wanted = !f->n_types;

	if ((f->job && strcmp(f->job, record->job)) ||
	    (f->execution && strcmp(f->execution, record->execution)) ||
	    record->time_ms < f->since_ms)
		return false;
	for (size_t i = 0; i < f->n_types; i++)
		wanted |= !strcmp(f->types[i], record->type_name);
	return wanted;
}

/* Cuts it to a whole character. */
static void view_shorten(struct buf *b)
{
	size_t len = VIEW_DATA_BYTES;

	if (b->len <= VIEW_DATA_BYTES)
		return;
	while (len && (b->data[len] & 0xc0) == 0x80)
		len--;
	b->len = len;
}

void wal_view_head(void)
{
	output_text("%-23s %8s  %-15s %-30s %-29s %s\n", "TIME", "SEQ", "TYPE",
		    "JOB", "EXECUTION", "DATA");
}

/* Milliseconds count here. */
static void view_time(int64_t ms, char *out, size_t size)
{
	size_t len;

	output_time(ms, out, size);
	len = strlen(out);
	snprintf(out + len, size - len, ".%03d", (int)(ms % 1000));
}

static void view_line(const struct wal_record *record)
{
	_cleanup_(buf_deinit) struct buf data = { 0 };
	char time[VIEW_TIME_BYTES];
	bool cut;

	if (record->data && json_append(&data, record->data) < 0)
		buf_clear(&data);
	cut = data.len > VIEW_DATA_BYTES;
	view_shorten(&data);
	view_time(record->time_ms, time, sizeof(time));
	output_text("%-23s %8llu  %-15s %-30s %-29s %.*s%s\n", time,
		    (unsigned long long)record->seq, record->type_name,
		    *record->job ? record->job : "-",
		    *record->execution ? record->execution : "-", (int)data.len,
		    data.len ? (char *)data.data : "", cut ? "…" : "");
}

void wal_view_record(const struct wal_item *item,
		     const struct wal_record *record, bool json)
{
	if (!json) {
		view_line(record);
	} else if (isatty(STDOUT_FILENO)) {
		output_text("%.*s\n", (int)item->len, item->line);
	} else {
		fwrite(item->line, 1, item->len, stdout);
		putchar('\n');
	}
}

json_t *wal_view_damage_json(const struct wal_damage *d)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "kind",
			 wal_damage_name(d->kind), "file", d->file, "offset",
			 (json_int_t)d->offset, "bytes", (json_int_t)d->len,
			 "missing_first", (json_int_t)d->missing_first,
			 "missing_last", (json_int_t)d->missing_last);
}

json_t *wal_view_alien_json(const struct wal_alien *a)
{
	char text[WAL_ALIEN_TEXT_BYTES];

	wal_alien_text(a, text, sizeof(text));
	return json_pack("{s:s, s:s, s:s, s:b}", "kind", "alien", "file",
			 a->name, "text", text, "blocks", wal_alien_blocks(a));
}

void wal_view_damage(const struct wal_damage *d, bool json)
{
	char text[VIEW_TEXT_BYTES];
	_cleanup_json_ json_t *line = NULL;

	if (!json) {
		wal_damage_text(d, text, sizeof(text));
		/* In its place, where both go to a terminal. */
		fflush(stdout);
		output_warn("%s", text);
		return;
	}
	line = json_pack("{s:o}", "damage", wal_view_damage_json(d));
	if (line)
		output_json(line);
}
