/*
 * Variables of one execution, as last seen: read-through, bounded in bytes
 * (least recently used goes first), positive and negative entries. An entry
 * past its time is kept as stale, for when the backend does not answer.
 *
 * Values are wiped before they are freed: they may be secrets.
 *
 * Pure: the time is a parameter, no socket is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

/* Absence is believed for a short while only: a script that waits for a
 * variable of another job asks in a loop. */
#define CACHE_ABSENT_TTL_MS 5000
#define CACHE_ETAG_BYTES 24 /* "18446744073709551615" with quotes and NUL */

struct cache;

struct cache_config {
	uint64_t max_bytes; /* keys, values and book-keeping */
	uint64_t ttl_ms;
};

/* Valid until the next call that stores or drops something. */
struct cache_view {
	const uint8_t *value;
	size_t len;
	const char *etag; /* with its quotes; "" when absent */
	uint64_t version;
	uint64_t age_ms;
	bool present; /* false: known not to exist */
	bool fresh;   /* false: stale */
	bool secret;
};

struct cache_stats {
	uint64_t entries, bytes, evictions;
};

int cache_new(struct cache **out, const struct cache_config *config) MUST_CHECK;
void cache_free(struct cache *c);
DEFINE_CLEANUP(struct cache *, cache_free)

/* True when something is known about key, fresh or stale. */
bool cache_lookup(struct cache *c, const char *key, uint64_t now_ms,
		  struct cache_view *out);

/*
 * Remembers a value of the backend. An older version than the one known is
 * ignored: replies may overtake each other. What does not fit is not kept,
 * and neither is what was known before: memory is no error here.
 */
void cache_store(struct cache *c, const char *key, const void *value,
		 size_t len, uint64_t version, bool secret, uint64_t now_ms);
void cache_store_absent(struct cache *c, const char *key, uint64_t now_ms);
void cache_drop(struct cache *c, const char *key);
/* The key was written, as that version: forgets what is older, and that it was
 * absent. True where there was something to forget. */
bool cache_drop_older(struct cache *c, const char *key, uint64_t version);
/* The same of all keys; how many. */
size_t cache_drop_all_older(struct cache *c, uint64_t version);

void cache_get_stats(const struct cache *c, struct cache_stats *out);

/* The version in an ETag of the backend: a number in quotes. 0 or -EINVAL. */
int cache_parse_etag(const char *etag, uint64_t *version) MUST_CHECK;
