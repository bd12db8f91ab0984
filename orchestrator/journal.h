/*
 * What the write-ahead log (wal.h) holds of each execution, in the order of
 * ARCHITECTURE.md, *Recovery*: written before it is done, so that the next
 * process knows of it. An entry is one execution's, from its claim until the
 * backend knows its end.
 *
 * A record that cannot be written is said, and what runs goes on: new jobs are
 * not begun then (journal_problem()).
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/wal/record.h"

struct assignment;
struct journal;
struct journal_entry;
struct log_point;
struct wal;
struct wal_execution;

/* wal must outlive the journal, that its entries. 0 or -ENOMEM. */
int journal_new(struct journal **out, struct wal *wal) MUST_CHECK;
void journal_free(struct journal *j);
/* Why nothing new may be begun, a sentence; NULL: all is well. */
const char *journal_problem(const struct journal *j);
/* Of no execution: session_*, guard_*. data is taken over. */
void journal_note(struct journal *j, enum wal_type type, json_t *data);

/* `submitted` and `claimed`. 0, or negative errno: then it must not run. */
int journal_claim(struct journal *j, const struct assignment *a,
		  struct journal_entry **out) MUST_CHECK;
/* One that an earlier process has claimed. 0 or -ENOMEM. */
int journal_take_up(struct journal *j, const struct wal_execution *x,
		    struct journal_entry **out) MUST_CHECK;

/* All below: entry NULL writes nothing; data is taken over, and may be NULL. */
void journal_write(struct journal_entry *entry, enum wal_type type,
		   json_t *data);
/* `started`: 0, or negative errno: then the runner must not be told what to
 * run, because the next process would take it for not begun. */
int journal_started(struct journal_entry *entry, json_t *data) MUST_CHECK;
/* An upload that leads from one point to the other. */
void journal_output(struct journal_entry *entry, const struct log_point *from,
		    const struct log_point *to);
/* The last record; *entry is gone. */
void journal_end(struct journal_entry **entry, enum wal_type type,
		 json_t *data);
/* Nothing is written: it stays open for the next process. NULL is fine. */
void journal_entry_free(struct journal_entry *entry);

/* What an `output` record says. Both at the beginning where there is none. */
void journal_read_output(const json_t *data, struct log_point *from,
			 struct log_point *to);
