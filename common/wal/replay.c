#include "common/wal/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "common/wal/dir.h"
#include "common/wal/read.h"

struct replay_entry {
	struct wal_execution execution; /* first: see replay_entry() */
	UT_hash_handle hh;              /* in the order of the log */
};

struct wal_replay {
	struct replay_entry *open;
	bool running; /* `opened` without `closed` */
};

static const struct replay_entry *replay_entry(const struct wal_execution *e)
{
	return CONTAINER_OF(e, struct replay_entry, execution);
}

int wal_replay_new(struct wal_replay **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void replay_forget_data(struct wal_execution *e)
{
	json_decref(e->claimed);
	json_decref(e->validated);
	json_decref(e->pod);
	json_decref(e->started);
	json_decref(e->output);
	json_decref(e->recovered);
}

static void replay_remove(struct wal_replay *r, struct replay_entry *entry)
{
	if (!entry)
		return;
	HASH_DEL(r->open, entry);
	replay_forget_data(&entry->execution);
	free(entry);
}

void wal_replay_free(struct wal_replay *r)
{
	if (!r)
		return;
	while (r->open)
		replay_remove(r, r->open);
	free(r);
}

/* --- records -------------------------------------------------------------- */

static struct replay_entry *replay_lookup(const struct wal_replay *r,
					  const char *execution)
{
	struct replay_entry *entry;

	HASH_FIND_STR(r->open, execution, entry);
	return entry;
}

/* 0, -E2BIG or -ENOMEM. */
static int replay_add(struct wal_replay *r, const struct wal_record *record,
		      struct replay_entry **out)
{
	struct replay_entry *entry;

	if (HASH_COUNT(r->open) >= WAL_REPLAY_OPEN_MAX)
		return -E2BIG;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	snprintf(entry->execution.execution, ID_MAX_BYTES, "%s",
		 record->execution);
	entry->execution.first_seq = record->seq;
	HASH_ADD_STR(r->open, execution.execution, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	*out = entry;
	return 0;
}

static json_t **replay_data(struct wal_execution *e, enum wal_type type)
{
	switch (type) {
	case WAL_CLAIMED:
		return &e->claimed;
	case WAL_VALIDATED:
		return &e->validated;
	case WAL_POD_CREATED:
		return &e->pod;
	case WAL_STARTED:
		return &e->started;
	case WAL_OUTPUT:
		return &e->output;
	default:
		return &e->recovered;
	}
}

/* Keeps a copy: a record's data goes with its line. */
static int replay_keep(struct wal_execution *e, const struct wal_record *record)
{
	json_t **data = replay_data(e, record->type);
	json_t *copy = record->data ? json_deep_copy(record->data) : NULL;

	if (record->data && !copy)
		return -ENOMEM;
	json_decref(*data);
	*data = copy;
	e->last_ms = record->time_ms;
	if (*record->job)
		snprintf(e->job, sizeof(e->job), "%s", record->job);
	if (record->type >= WAL_CLAIMED && record->type <= WAL_STARTED)
		e->state = record->type;
	if (record->type == WAL_CLAIMED)
		e->claimed_ms = record->time_ms;
	if (record->type == WAL_STARTED)
		e->started_ms = record->time_ms;
	return 0;
}

/* Where the record that opened it cannot be read, the next one does; but
 * output may come late, and opens nothing. */
static bool replay_opens(enum wal_type type)
{
	return (type >= WAL_CLAIMED && type <= WAL_STARTED) ||
	       type == WAL_RECOVERED;
}

static int replay_execution(struct wal_replay *r,
			    const struct wal_record *record)
{
	struct replay_entry *entry = replay_lookup(r, record->execution);
	int result;

	if (wal_type_ends(record->type) || record->type == WAL_CLAIMED) {
		/* Claimed once more: nothing of the time before counts. */
		replay_remove(r, entry);
		entry = NULL;
	}
	if (!replay_opens(record->type) &&
	    !(entry && record->type == WAL_OUTPUT))
		return 0;
	if (!entry) {
		result = replay_add(r, record, &entry);
		if (result < 0)
			return result;
	}
	return replay_keep(&entry->execution, record);
}

int wal_replay_record(struct wal_replay *r, const struct wal_record *record)
{
	if (record->type == WAL_OPENED)
		r->running = true;
	if (record->type == WAL_CLOSED)
		r->running = false;
	return *record->execution ? replay_execution(r, record) : 0;
}

/* --- what came out -------------------------------------------------------- */

const struct wal_execution *wal_replay_next(const struct wal_replay *r,
					    const struct wal_execution *after)
{
	const struct replay_entry *entry = r->open;

	if (after)
		entry = replay_entry(after)->hh.next;
	return entry ? &entry->execution : NULL;
}

size_t wal_replay_count(const struct wal_replay *r)
{
	return HASH_COUNT(r->open);
}

const struct wal_execution *wal_replay_find(const struct wal_replay *r,
					    const char *execution)
{
	const struct replay_entry *entry = replay_lookup(r, execution);

	return entry ? &entry->execution : NULL;
}

bool wal_replay_orderly(const struct wal_replay *r)
{
	return !r->running;
}

/* --- a directory ---------------------------------------------------------- */

static int replay_needed(const char *dir, uint64_t *from)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : wal_dir_needed(fd, from);
}

static int replay_item(struct wal_replay *r, const struct wal_item *item)
{
	struct wal_record record;
	int result = wal_record_decode(item->line, item->len, &record);

	if (!result)
		result = wal_replay_record(r, &record);
	wal_record_deinit(&record);
	return result;
}

static int replay_items(struct wal_replay *r, struct wal_reader *reader,
			void (*on_damage)(const struct wal_damage *d,
					  void *ctx),
			void *ctx)
{
	struct wal_item item;
	int result;

	while (!(result = wal_reader_next(reader, &item))) {
		if (!item.damage.kind)
			result = replay_item(r, &item);
		if (result == -EBADMSG)
			wal_item_damage(&item, &item.damage);
		else if (result < 0)
			return result;
		if (item.damage.kind && on_damage)
			on_damage(&item.damage, ctx);
	}
	if (result == WAL_READ_E_END && wal_reader_tail(reader, &item.damage) &&
	    on_damage)
		on_damage(&item.damage, ctx);
	return MIN(result, 0);
}

int wal_replay_dir(struct wal_replay *r, const char *dir,
		   void (*on_damage)(const struct wal_damage *d, void *ctx),
		   void *ctx)
{
	struct wal_reader *reader;
	uint64_t from;
	int result = replay_needed(dir, &from);

	if (result < 0)
		return result;
	result = wal_reader_new(&reader, dir, from);
	if (result < 0)
		return result;
	result = replay_items(r, reader, on_damage, ctx);
	wal_reader_free(reader);
	return result;
}
