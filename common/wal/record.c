#include "common/wal/record.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"

#define RECORD_PREFIX "{\"seq\":"
#define RECORD_PREFIX_BYTES (sizeof(RECORD_PREFIX) - 1)
#define RECORD_CRC ",\"crc32c\":\""
#define RECORD_CRC_BYTES (sizeof(RECORD_CRC) - 1)
#define RECORD_CRC_DIGITS 8
#define RECORD_SEQ_DIGITS_MAX 19
#define RECORD_LOAD_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)
/* ,"crc32c":"1a2b3c4d"} */
#define RECORD_SUFFIX_BYTES (RECORD_CRC_BYTES + RECORD_CRC_DIGITS + 2)

static const struct {
	const char *name;
	bool ends;
} record_types[] = {
	[WAL_SEGMENT] = { "segment", false },
	[WAL_OPENED] = { "opened", false },
	[WAL_CLOSED] = { "closed", false },
	[WAL_SUBMITTED] = { "submitted", false },
	[WAL_CLAIMED] = { "claimed", false },
	[WAL_VALIDATED] = { "validated", false },
	[WAL_POD_CREATED] = { "pod_created", false },
	[WAL_STARTED] = { "started", false },
	[WAL_OUTPUT] = { "output", false },
	[WAL_RECOVERED] = { "recovered", false },
	[WAL_COMPLETED] = { "completed", true },
	[WAL_FAILED] = { "failed", true },
	[WAL_CANCELLED] = { "cancelled", true },
	[WAL_LOST] = { "lost", true },
	[WAL_RELEASED] = { "released", true },
	[WAL_SESSION_CREATED] = { "session_created", false },
	[WAL_SESSION_PAUSED] = { "session_paused", false },
	[WAL_SESSION_RESUMED] = { "session_resumed", false },
	[WAL_SESSION_ENDED] = { "session_ended", false },
	[WAL_GUARD_OPENED] = { "guard_opened", false },
	[WAL_GUARD_CLOSED] = { "guard_closed", false },
	[WAL_UNKNOWN] = { "unknown", false },
};

const char *wal_type_name(enum wal_type type)
{
	return record_types[type].name;
}

enum wal_type wal_type_parse(const char *name)
{
	for (size_t i = 0; i < WAL_UNKNOWN; i++)
		if (!strcmp(name, record_types[i].name))
			return (enum wal_type)i;
	return WAL_UNKNOWN;
}

bool wal_type_ends(enum wal_type type)
{
	return record_types[type].ends;
}

/* The library takes no pointer to const, and an int. */
static uint32_t record_crc(const void *data, size_t len)
{
	return ~crc32_iscsi((unsigned char *)data, (int)len, ~0U);
}

/* --- encode --------------------------------------------------------------- */

static int record_append_str(struct buf *out, const char *key, const char *s)
{
	int r = 0;

	if (!s || !*s)
		return 0;
	r = buf_printf(out, ",\"%s\":", key);
	return r ? r : json_append_string(out, s, strlen(s));
}

/* Closes the record that begins at the offset from. */
static int record_seal(struct buf *out, size_t from, uint32_t *crc)
{
	uint32_t sum = record_crc(out->data + from, out->len - from);

	if (crc)
		*crc = sum;
	return buf_printf(out, RECORD_CRC "%08x\"}\n", sum);
}

static int record_append(struct buf *out, size_t from,
			 const struct wal_record *record, uint32_t *crc)
{
	int r = buf_printf(
		out, RECORD_PREFIX "%llu,\"time_ms\":%lld,\"type\":\"%s\"",
		(unsigned long long)record->seq, (long long)record->time_ms,
		wal_type_name(record->type));

	if (!r)
		r = record_append_str(out, "job", record->job);
	if (!r)
		r = record_append_str(out, "execution", record->execution);
	if (!r && record->data)
		r = buf_append_str(out, ",\"data\":");
	if (!r && record->data)
		r = json_append(out, record->data);
	if (!r)
		r = record_seal(out, from, crc);
	return r;
}

int wal_record_encode(struct buf *out, const struct wal_record *record,
		      uint32_t *crc)
{
	size_t from = out->len;
	int r = record_append(out, from, record, crc);

	/* With another number it must fit, too. */
	if (!r &&
	    out->len - from + RECORD_SEQ_DIGITS_MAX > WAL_RECORD_MAX_BYTES)
		r = -EMSGSIZE;
	if (r)
		out->len = from;
	return r;
}

int wal_record_renumber(struct buf *out, const char *line, size_t len,
			uint64_t seq, uint32_t *crc)
{
	const char *rest = memchr(line, ',', len);
	size_t from = out->len;
	int r;

	if (line[len - 1] == '\n')
		len--;
	r = buf_printf(out, RECORD_PREFIX "%llu", (unsigned long long)seq);
	if (!r)
		r = buf_append(out, rest,
			       len - (size_t)(rest - line) -
				       RECORD_SUFFIX_BYTES);
	if (!r)
		r = record_seal(out, from, crc);
	if (r)
		out->len = from;
	return r;
}

/* --- decode --------------------------------------------------------------- */

/* The digits behind the prefix, and a comma. */
static bool record_read_seq(const char *p, uint64_t *seq)
{
	uint64_t n = 0;

	if (*p < '1' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	*seq = n;
	return *p == ',' && n <= INT64_MAX;
}

static bool record_read_crc(const char *suffix, uint32_t *crc)
{
	const char *digits = suffix + RECORD_CRC_BYTES;

	if (memcmp(suffix, RECORD_CRC, RECORD_CRC_BYTES) ||
	    memcmp(digits + RECORD_CRC_DIGITS, "\"}", 2))
		return false;
	*crc = 0;
	for (size_t i = 0; i < RECORD_CRC_DIGITS; i++) {
		int value = hex_value(digits[i]);

		if (value < 0 || (digits[i] >= 'A' && digits[i] <= 'F'))
			return false;
		*crc = *crc << 4 | (uint32_t)value;
	}
	return true;
}

bool wal_record_check(const char *line, size_t len, uint64_t *seq,
		      uint32_t *crc)
{
	/* The suffix ends what record_read_seq() reads: it is no digit. */
	if (len < RECORD_PREFIX_BYTES + 1 + RECORD_SUFFIX_BYTES ||
	    len >= WAL_RECORD_MAX_BYTES ||
	    memcmp(line, RECORD_PREFIX, RECORD_PREFIX_BYTES))
		return false;
	return record_read_crc(line + len - RECORD_SUFFIX_BYTES, crc) &&
	       record_read_seq(line + RECORD_PREFIX_BYTES, seq) &&
	       record_crc(line, len - RECORD_SUFFIX_BYTES) == *crc;
}

int wal_record_decode(const char *line, size_t len, struct wal_record *out)
{
	json_error_t e;
	json_t *root = json_loadb(line, len, RECORD_LOAD_FLAGS, &e);
	const json_t *data;

	*out = (struct wal_record){ .root = root };
	if (!root)
		/* Want of memory is all that it has no words for. */
		return *e.text ? -EBADMSG : -ENOMEM;
	data = json_object_get(root, "data");
	out->seq = (uint64_t)json_get_int(root, "seq", 0);
	out->time_ms = json_get_int(root, "time_ms", 0);
	out->type_name = json_get_str(root, "type", NULL);
	out->job = json_get_str(root, "job", "");
	out->execution = json_get_str(root, "execution", "");
	out->data = json_is_object(data) ? data : NULL;
	if (!out->seq || !out->type_name) {
		wal_record_deinit(out);
		return -EBADMSG;
	}
	out->type = wal_type_parse(out->type_name);
	return 0;
}

void wal_record_deinit(struct wal_record *record)
{
	json_decref(record->root);
	*record = (struct wal_record){ 0 };
}
