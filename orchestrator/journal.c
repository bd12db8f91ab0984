#include "orchestrator/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "common/wal/replay.h"
#include "orchestrator/assignment.h"
#include "orchestrator/log_forward.h"
#include "orchestrator/process_id.h"
#include "orchestrator/wal.h"

struct journal_entry {
	TAILQ_ENTRY(journal_entry) link;
	struct journal *journal;
	char execution[ID_MAX_BYTES], job[ID_MAX_BYTES];
	uint64_t first_seq;
};

struct journal {
	struct wal *wal;
	TAILQ_HEAD(journal_entries, journal_entry) entries; /* by first_seq */
	bool warned;
};

int journal_new(struct journal **out, struct wal *wal)
{
	struct journal *j = calloc(1, sizeof(*j));

	*out = j;
	if (!j)
		return -ENOMEM;
	j->wal = wal;
	TAILQ_INIT(&j->entries);
	return 0;
}

void journal_free(struct journal *j)
{
	free(j);
}

const char *journal_problem(const struct journal *j)
{
	return wal_problem(j->wal);
}

/* --- records -------------------------------------------------------------- */

/* The record's number; it is the kernel's when this returns. */
static int64_t journal_append(struct journal *j, enum wal_type type,
			      const char *job, const char *execution,
			      const json_t *data)
{
	int64_t seq = wal_append(j->wal, type, job, execution, data);
	int r = seq < 0 ? (int)seq : wal_write_now(j->wal);

	if (r < 0 && !j->warned)
		log_error(execution,
			  "the write-ahead log does not take '%s': %s",
			  wal_type_name(type),
			  wal_problem(j->wal) ?: strerror(-r));
	j->warned = r < 0;
	return r < 0 ? r : seq;
}

void journal_note(struct journal *j, enum wal_type type, json_t *data)
{
	(void)!journal_append(j, type, NULL, NULL, data);
	json_decref(data);
}

void journal_write(struct journal_entry *entry, enum wal_type type,
		   json_t *data)
{
	if (entry)
		(void)!journal_append(entry->journal, type, entry->job,
				      entry->execution, data);
	json_decref(data);
}

int journal_started(struct journal_entry *entry, json_t *data)
{
	int64_t r = entry ? journal_append(entry->journal, WAL_STARTED,
					   entry->job, entry->execution, data)
			  : 0;

	json_decref(data);
	return (int)MIN(r, 0);
}

/* --- entries -------------------------------------------------------------- */

static struct journal_entry *journal_entry_new(struct journal *j,
					       const char *job,
					       const char *execution)
{
	struct journal_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->journal = j;
	snprintf(entry->job, sizeof(entry->job), "%s", job);
	snprintf(entry->execution, sizeof(entry->execution), "%s", execution);
	TAILQ_INSERT_TAIL(&j->entries, entry, link);
	return entry;
}

void journal_entry_free(struct journal_entry *entry)
{
	if (!entry)
		return;
	TAILQ_REMOVE(&entry->journal->entries, entry, link);
	free(entry);
}

/* The next replay begins with the oldest record that is needed. */
static void journal_tell_needed(struct journal *j)
{
	const struct journal_entry *first = TAILQ_FIRST(&j->entries);

	wal_needed(j->wal, first ? first->first_seq : UINT64_MAX);
}

void journal_end(struct journal_entry **entry, enum wal_type type, json_t *data)
{
	struct journal *j = *entry ? (*entry)->journal : NULL;

	journal_write(*entry, type, data);
	journal_entry_free(*entry);
	*entry = NULL;
	if (j)
		journal_tell_needed(j);
}

int journal_claim(struct journal *j, const struct assignment *a,
		  struct journal_entry **out)
{
	_cleanup_json_ json_t *data = assignment_describe(a);
	struct journal_entry *entry = journal_entry_new(j, a->job ?: "",
							a->execution);
	int64_t created = assignment_created_ms(a), r;
	char boot[PROCESS_BOOT_ID_BYTES];

	*out = NULL;
	process_boot_id(boot);
	if (!data || !entry ||
	    json_object_set_new(data, "boot", json_string(boot)) < 0) {
		journal_entry_free(entry);
		return -ENOMEM;
	}
	if (created)
		journal_write(entry, WAL_SUBMITTED,
			      json_pack("{s:I}", "created_ms",
					(json_int_t)created));
	r = journal_append(j, WAL_CLAIMED, entry->job, entry->execution, data);
	if (r < 0) {
		journal_entry_free(entry);
		return (int)r;
	}
	entry->first_seq = (uint64_t)r;
	journal_tell_needed(j);
	*out = entry;
	return 0;
}

int journal_take_up(struct journal *j, const struct wal_execution *x,
		    struct journal_entry **out)
{
	*out = journal_entry_new(j, x->job, x->execution);
	if (!*out)
		return -ENOMEM;
	(*out)->first_seq = x->first_seq;
	return 0;
}

/* --- output --------------------------------------------------------------- */

static json_t *journal_point(const struct log_point *p)
{
	const struct redact_state *out = &p->at.masks[LOG_STDOUT];
	const struct redact_state *err = &p->at.masks[LOG_STDERR];
	json_t *o = json_pack("{s:I,s:I,s:I,s:I}", "offset",
			      (json_int_t)p->offset, "stdout",
			      (json_int_t)p->at.raw[LOG_STDOUT], "stderr",
			      (json_int_t)p->at.raw[LOG_STDERR], "notice",
			      (json_int_t)p->at.raw[LOG_NOTICE]);

	if (out->covered || out->in_mask || err->covered || err->in_mask)
		json_object_set_new(
			o, "masks",
			json_pack("[I,b,I,b]", (json_int_t)out->covered,
				  out->in_mask, (json_int_t)err->covered,
				  err->in_mask));
	if (p->full)
		json_object_set_new(o, "dropped",
				    json_integer((json_int_t)p->dropped));
	return o;
}

void journal_output(struct journal_entry *entry, const struct log_point *from,
		    const struct log_point *to)
{
	json_t *data;

	if (!entry)
		return;
	data = journal_point(to);
	if (from != to)
		json_object_set_new(data, "from", journal_point(from));
	journal_write(entry, WAL_OUTPUT, data);
}

static uint64_t journal_get(const json_t *o, const char *key)
{
	return (uint64_t)MAX(json_get_int(o, key, 0), 0);
}

static void journal_read_mask(const json_t *masks, size_t i,
			      struct redact_state *out)
{
	json_int_t covered = json_integer_value(json_array_get(masks, 2 * i));

	out->covered = (size_t)MAX(covered, 0);
	out->in_mask = json_is_true(json_array_get(masks, 2 * i + 1));
}

static void journal_read_point(const json_t *o, struct log_point *p)
{
	const json_t *masks = json_object_get(o, "masks");

	*p = (struct log_point){
		.offset = journal_get(o, "offset"),
		.at.raw = { journal_get(o, "stdout"), journal_get(o, "stderr"),
			    journal_get(o, "notice") },
		.full = json_object_get(o, "dropped"),
		.dropped = journal_get(o, "dropped"),
	};
	for (size_t i = 0; i < LOG_MASKED_STREAMS; i++)
		journal_read_mask(masks, i, &p->at.masks[i]);
}

void journal_read_output(const json_t *data, struct log_point *from,
			 struct log_point *to)
{
	const json_t *before = json_object_get(data, "from");

	journal_read_point(data, to);
	journal_read_point(before ? before : data, from);
}
