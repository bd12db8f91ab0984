#include "common/redact.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "common/redact_forms.h"

/* A pattern is found by its first bytes: a bit for whether any pattern begins
 * like this, then a chain of those that may. */
#define REDACT_KEY_BYTES REDACT_SECRET_MIN_BYTES
#define REDACT_BUCKETS 4096 /* power of two */
#define REDACT_FILTER_BITS 65536

struct redact_pattern {
	struct redact_pattern *next;       /* in the bucket */
	struct redact_pattern *next_known; /* … of whole ones */
	SLIST_ENTRY(redact_pattern) link;
	size_t len;
	uint8_t bytes[];
};

struct redactor {
	struct redact_pattern *buckets[REDACT_BUCKETS];
	struct redact_pattern *known[REDACT_BUCKETS]; /* by all their bytes */
	uint64_t filter[REDACT_FILTER_BITS / 64];
	SLIST_HEAD(, redact_pattern) patterns;
	size_t secrets, n_patterns, pattern_bytes;
};

struct redact_stream {
	const struct redactor *redactor;
	struct buf held;        /* may be the beginning of a secret */
	struct redact_state at; /* covered: from held's front on */
};

/* --- patterns ------------------------------------------------------------ */

static uint32_t redact_hash_key(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 40);
}

static uint32_t redact_hash(const uint8_t *p)
{
	uint64_t key = 0;

	memcpy(&key, p, REDACT_KEY_BYTES);
	return redact_hash_key(key);
}

/* Many may begin alike: those that are the same are found by all of it. */
static struct redact_pattern **redact_known_bucket(struct redactor *r,
						   const uint8_t *bytes,
						   size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return &r->known[redact_hash_key(hash) % REDACT_BUCKETS];
}

static bool redact_known(const struct redact_pattern *p, const uint8_t *bytes,
			 size_t len)
{
	for (; p; p = p->next_known)
		if (p->len == len && !memcmp(p->bytes, bytes, len))
			return true;
	return false;
}

static bool redact_room(const struct redactor *r, uint32_t hash, size_t len)
{
	const struct redact_pattern *p = r->buckets[hash % REDACT_BUCKETS];
	size_t alike = 0;

	for (; p && alike < REDACT_ALIKE_MAX; p = p->next)
		alike++;
	return alike < REDACT_ALIKE_MAX &&
	       r->n_patterns < REDACT_PATTERNS_MAX &&
	       len <= REDACT_PATTERNS_MAX_BYTES - r->pattern_bytes;
}

static int redact_add_piece(struct redactor *r, const uint8_t *bytes,
			    size_t len)
{
	struct redact_pattern *p, **known;
	uint32_t hash, bit;

	if (len < REDACT_KEY_BYTES)
		return 0;
	hash = redact_hash(bytes);
	known = redact_known_bucket(r, bytes, len);
	if (redact_known(*known, bytes, len))
		return 0;
	if (!redact_room(r, hash, len))
		return REDACT_E_FULL;
	p = malloc(sizeof(*p) + len);
	if (!p)
		return -ENOMEM;
	r->n_patterns++;
	r->pattern_bytes += len;
	p->len = len;
	memcpy(p->bytes, bytes, len);
	p->next_known = *known;
	*known = p;
	p->next = r->buckets[hash % REDACT_BUCKETS];
	r->buckets[hash % REDACT_BUCKETS] = p;
	SLIST_INSERT_HEAD(&r->patterns, p, link);
	bit = hash % REDACT_FILTER_BITS;
	r->filter[bit / 64] |= 1ULL << (bit % 64);
	return 0;
}

/* No piece is too short to be found. */
static int redact_add_pattern(void *ctx, const uint8_t *bytes, size_t len)
{
	int r = 0;

	while (r == 0 && len > REDACT_PIECE_MAX_BYTES) {
		size_t n = MIN(REDACT_PIECE_MAX_BYTES, len - REDACT_KEY_BYTES);

		r = redact_add_piece(ctx, bytes, n);
		bytes += n;
		len -= n;
	}
	return r ? r : redact_add_piece(ctx, bytes, len);
}

int redactor_new(struct redactor **out)
{
	struct redactor *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	SLIST_INIT(&r->patterns);
	*out = r;
	return 0;
}

void redactor_free(struct redactor *r)
{
	struct redact_pattern *p;

	if (!r)
		return;
	while ((p = SLIST_FIRST(&r->patterns))) {
		SLIST_REMOVE_HEAD(&r->patterns, link);
		explicit_bzero(p->bytes, p->len);
		free(p);
	}
	free(r);
}

int redactor_add(struct redactor *r, const void *value, size_t len)
{
	int e;

	if (r->secrets == REDACT_SECRETS_MAX)
		return REDACT_E_FULL;
	e = redact_forms(value, len, redact_add_pattern, r);
	if (e == 0)
		r->secrets++;
	return e == REDACT_FORMS_SHORT ? REDACT_E_SHORT : e;
}

/* --- matching ------------------------------------------------------------ */

/* What begins at one place of a stream. */
struct redact_found {
	size_t len;   /* of the longest whole pattern; 0 for none */
	bool partial; /* a pattern may go on behind the data we have */
};

static void redact_try(const struct redact_pattern *p, const uint8_t *data,
		       size_t len, struct redact_found *found)
{
	size_t n = MIN(p->len, len);

	if (memcmp(p->bytes, data, n) != 0)
		return;
	if (p->len > len)
		found->partial = true;
	else if (p->len > found->len)
		found->len = p->len;
}

static struct redact_found redact_look(const struct redactor *r,
				       const uint8_t *data, size_t len)
{
	struct redact_found found = { 0 };
	const struct redact_pattern *p;
	uint32_t hash, bit;

	/* Too few bytes for the table: only at the end of what is there. */
	if (len < REDACT_KEY_BYTES) {
		SLIST_FOREACH(p, &r->patterns, link)
			redact_try(p, data, len, &found);
		return found;
	}
	hash = redact_hash(data);
	bit = hash % REDACT_FILTER_BITS;
	if (!(r->filter[bit / 64] & (1ULL << (bit % 64))))
		return found;
	for (p = r->buckets[hash % REDACT_BUCKETS]; p; p = p->next)
		redact_try(p, data, len, &found);
	return found;
}

/* The key at p when eight bytes may be read there. */
static uint64_t redact_load_key(const uint8_t *p)
{
	uint64_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	/* as memcpy() of the first six into a zero has it */
	return le64toh(bytes) & ((1ULL << (8 * REDACT_KEY_BYTES)) - 1);
}

/* The first place from i on where a pattern may begin: nearly all of what a
 * script writes is passed over here. */
static size_t redact_skip(const struct redactor *r, const uint8_t *data,
			  size_t i, size_t len)
{
	for (; i + sizeof(uint64_t) <= len; i++) {
		uint64_t key = htole64(redact_load_key(data + i));
		uint32_t bit = redact_hash_key(key) % REDACT_FILTER_BITS;

		if (r->filter[bit / 64] & (1ULL << (bit % 64)))
			break;
	}
	return i;
}

/* --- streams ------------------------------------------------------------- */

int redact_stream_new(struct redact_stream **out, struct redactor *r)
{
	struct redact_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->redactor = r;
	*out = s;
	return 0;
}

void redact_stream_free(struct redact_stream *s)
{
	if (!s)
		return;
	buf_deinit_secret(&s->held);
	free(s);
}

/* Writes the mask once for each run of covered bytes. */
static int redact_mask(struct redact_stream *s, struct buf *out)
{
	if (s->at.in_mask)
		return 0;
	s->at.in_mask = true;
	return buf_append_str(out, REDACT_MASK);
}

/*
 * Goes through data; overlapping secrets melt into one mask. Stops at the first
 * place where a secret may go on behind the end, unless `last`. *done is how
 * many bytes were dealt with.
 */
static int redact_scan(struct redact_stream *s, const uint8_t *data, size_t len,
		       bool last, struct buf *out, size_t *done)
{
	size_t clear = 0; /* first byte that is neither written nor covered */
	size_t i = 0;
	int r = 0;

	for (; i < len && r == 0; i++) {
		struct redact_found found;
		size_t at = i;

		if (!s->at.covered)
			i = redact_skip(s->redactor, data, i, len);
		if (i > at)
			s->at.in_mask = false;
		found = redact_look(s->redactor, data + i, len - i);
		if (found.partial && !last)
			break;
		s->at.covered = MAX(s->at.covered, found.len);
		if (!s->at.covered) {
			s->at.in_mask = false;
			continue;
		}
		if (!s->at.in_mask)
			r = buf_append(out, data + clear, i - clear);
		if (r == 0)
			r = redact_mask(s, out);
		clear = i + 1;
		s->at.covered--;
	}
	if (r == 0)
		r = buf_append(out, data + clear, i - clear);
	*done = i;
	return r;
}

int redact_stream_feed(struct redact_stream *s, const void *data, size_t len,
		       struct buf *out)
{
	size_t done;
	int r;

	if (!len)
		return 0;
	if (SLIST_EMPTY(&s->redactor->patterns) && !s->held.len)
		return buf_append(out, data, len);
	if (!s->held.len) {
		r = redact_scan(s, data, len, false, out, &done);
		return r < 0 ? r
			     : buf_append(&s->held,
					  (const uint8_t *)data + done,
					  len - done);
	}
	r = buf_append(&s->held, data, len);
	if (r < 0)
		return r;
	r = redact_scan(s, s->held.data, s->held.len, false, out, &done);
	buf_consume(&s->held, done);
	return r;
}

size_t redact_stream_held(const struct redact_stream *s)
{
	return s->held.len;
}

struct redact_state redact_stream_state(const struct redact_stream *s)
{
	return s->at;
}

void redact_stream_restore(struct redact_stream *s, struct redact_state state)
{
	s->at = state;
}

int redact_stream_flush(struct redact_stream *s, struct buf *out)
{
	size_t done;
	int r = 0;

	if (s->held.len)
		r = redact_scan(s, s->held.data, s->held.len, true, out, &done);
	buf_clear(&s->held);
	s->at = (struct redact_state){ 0 };
	return r;
}
