/*
 * A record of the write-ahead log: one line of JSON. Pure.
 *
 *   {"seq":12,"time_ms":1700000000000,"type":"claimed","job":"job_…",
 *    "execution":"ex_…","data":{…},"crc32c":"1a2b3c4d"}\n
 *
 * (without the break). "crc32c" is CRC-32C over the bytes of the line in front
 * of `,"crc32c"`. "job" and "execution" are left out where there is none.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct buf;

/* With its line feed: what is larger belongs elsewhere. */
#define WAL_RECORD_MAX_BYTES 65536
#define WAL_VERSION 1

enum wal_type {
	/* Of the log itself: the first record of a file, the start of an
	 * orchestrator, its orderly end. */
	WAL_SEGMENT,
	WAL_OPENED,
	WAL_CLOSED,
	/* Of an execution, in the order of ARCHITECTURE.md. */
	WAL_SUBMITTED,
	WAL_CLAIMED, /* opens it for wal_replay */
	WAL_VALIDATED,
	WAL_POD_CREATED,
	WAL_STARTED,
	WAL_OUTPUT,
	WAL_RECOVERED,
	/* It is over, and the backend knows: nothing is left to do. */
	WAL_COMPLETED,
	WAL_FAILED,
	WAL_CANCELLED,
	WAL_LOST,
	WAL_RELEASED, /* its lease was given back */
	/* What happened around them. */
	WAL_SESSION_CREATED,
	WAL_SESSION_PAUSED,
	WAL_SESSION_RESUMED,
	WAL_SESSION_ENDED,
	WAL_GUARD_OPENED,
	WAL_GUARD_CLOSED,
	WAL_UNKNOWN, /* of a newer version: shown, otherwise ignored */
};

/* "claimed"; "unknown" for WAL_UNKNOWN. */
const char *wal_type_name(enum wal_type type);
enum wal_type wal_type_parse(const char *name);
/* Whether records of this type end an execution. */
bool wal_type_ends(enum wal_type type);

struct wal_record {
	uint64_t seq; /* grows by one, from 1 on */
	int64_t time_ms;
	enum wal_type type;
	const char *type_name;       /* as it is written */
	const char *job, *execution; /* "" for none */
	const json_t *data;          /* an object, or NULL */
	json_t *root;                /* owns all of these once decoded */
};

/* Appends the line. data may be NULL. 0, -EMSGSIZE where it is over
 * WAL_RECORD_MAX_BYTES (less 19, for another number), or -ENOMEM; then nothing
 * was appended. crc: of the line; may be NULL. */
int wal_record_encode(struct buf *out, const struct wal_record *record,
		      uint32_t *crc) MUST_CHECK;
/* The same record with another number: line as encode has written it, with or
 * without its line feed. 0 or -ENOMEM. */
int wal_record_renumber(struct buf *out, const char *line, size_t len,
			uint64_t seq, uint32_t *crc) MUST_CHECK;

/* Whether these bytes (without line feed) are a whole record, by its form and
 * its CRC, which goes with its number to the caller. */
bool wal_record_check(const char *line, size_t len, uint64_t *seq,
		      uint32_t *crc);
/* All of a line that was checked. 0, -EBADMSG where it is not what a record
 * has to be all the same, or -ENOMEM. */
int wal_record_decode(const char *line, size_t len,
		      struct wal_record *out) MUST_CHECK;
void wal_record_deinit(struct wal_record *record);
