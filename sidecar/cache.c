#include "sidecar/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

struct cache_entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(cache_entry) lru;
	uint64_t stored_ms;
	uint64_t version;
	size_t key_len, value_len;
	bool present, secret;
	char etag[CACHE_ETAG_BYTES];
	char data[]; /* key, NUL, value */
};

struct cache {
	struct cache_config config;
	struct cache_entry *entries;
	TAILQ_HEAD(, cache_entry) lru; /* last used is last */
	struct cache_stats stats;
};

int cache_new(struct cache **out, const struct cache_config *config)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->config = *config;
	TAILQ_INIT(&c->lru);
	*out = c;
	return 0;
}

static size_t entry_bytes(const struct cache_entry *e)
{
	return sizeof(*e) + e->key_len + 1 + e->value_len;
}

static void entry_remove(struct cache *c, struct cache_entry *e)
{
	HASH_DEL(c->entries, e);
	TAILQ_REMOVE(&c->lru, e, lru);
	c->stats.bytes -= entry_bytes(e);
	c->stats.entries--;
	explicit_bzero(e, entry_bytes(e));
	free(e);
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->lru))
		entry_remove(c, TAILQ_FIRST(&c->lru));
	free(c);
}

static struct cache_entry *find(const struct cache *c, const char *key)
{
	struct cache_entry *e;

	HASH_FIND_STR(c->entries, key, e);
	return e;
}

bool cache_lookup(struct cache *c, const char *key, uint64_t now_ms,
		  struct cache_view *out)
{
	struct cache_entry *e = find(c, key);
	uint64_t ttl_ms = c->config.ttl_ms;

	if (!e)
		return false;
	TAILQ_REMOVE(&c->lru, e, lru);
	TAILQ_INSERT_TAIL(&c->lru, e, lru);
	if (!e->present)
		ttl_ms = MIN(ttl_ms, CACHE_ABSENT_TTL_MS);
	*out = (struct cache_view){
		.value = (const uint8_t *)e->data + e->key_len + 1,
		.len = e->value_len,
		.etag = e->etag,
		.version = e->version,
		.age_ms = now_ms - e->stored_ms,
		.present = e->present,
		.fresh = now_ms - e->stored_ms < ttl_ms,
		.secret = e->secret,
	};
	return true;
}

static struct cache_entry *entry_new(const char *key, const void *value,
				     size_t len)
{
	size_t key_len = strlen(key);
	struct cache_entry *e = malloc(sizeof(*e) + key_len + 1 + len);

	if (!e)
		return NULL;
	*e = (struct cache_entry){ .key_len = key_len, .value_len = len };
	memcpy(e->data, key, key_len + 1);
	if (len)
		memcpy(e->data + key_len + 1, value, len);
	return e;
}

static void make_room(struct cache *c, size_t bytes)
{
	while (c->stats.bytes + bytes > c->config.max_bytes) {
		entry_remove(c, TAILQ_FIRST(&c->lru));
		c->stats.evictions++;
	}
}

/* Takes e. Nothing is known about its key at this point. */
static void put(struct cache *c, struct cache_entry *e)
{
	size_t bytes = entry_bytes(e);

	if (bytes > c->config.max_bytes) {
		explicit_bzero(e, bytes);
		free(e);
		return;
	}
	make_room(c, bytes);
	HASH_ADD_KEYPTR(hh, c->entries, e->data, e->key_len, e);
	if (!e->hh.tbl) {
		explicit_bzero(e, bytes);
		free(e);
		return;
	}
	TAILQ_INSERT_TAIL(&c->lru, e, lru);
	c->stats.bytes += bytes;
	c->stats.entries++;
}

void cache_store(struct cache *c, const char *key, const void *value,
		 size_t len, uint64_t version, bool secret, uint64_t now_ms)
{
	struct cache_entry *known = find(c, key), *e;

	if (known && known->present && known->version > version)
		return;
	cache_drop(c, key);
	e = entry_new(key, value, len);
	if (!e)
		return;
	e->stored_ms = now_ms;
	e->version = version;
	e->present = true;
	e->secret = secret;
	snprintf(e->etag, sizeof(e->etag), "\"%" PRIu64 "\"", version);
	put(c, e);
}

void cache_store_absent(struct cache *c, const char *key, uint64_t now_ms)
{
	struct cache_entry *e;

	cache_drop(c, key);
	e = entry_new(key, NULL, 0);
	if (!e)
		return;
	e->stored_ms = now_ms;
	put(c, e);
}

void cache_drop(struct cache *c, const char *key)
{
	struct cache_entry *e = find(c, key);

	if (e)
		entry_remove(c, e);
}

static bool is_older(const struct cache_entry *e, uint64_t version)
{
	return !e->present || e->version < version;
}

bool cache_drop_older(struct cache *c, const char *key, uint64_t version)
{
	struct cache_entry *e = find(c, key);

	if (!e || !is_older(e, version))
		return false;
	entry_remove(c, e);
	return true;
}

size_t cache_drop_all_older(struct cache *c, uint64_t version)
{
	struct cache_entry *e = TAILQ_FIRST(&c->lru), *next;
	size_t n = 0;

	for (; e; e = next) {
		next = TAILQ_NEXT(e, lru);
		if (!is_older(e, version))
			continue;
		entry_remove(c, e);
		n++;
	}
	return n;
}

void cache_get_stats(const struct cache *c, struct cache_stats *out)
{
	*out = c->stats;
}

int cache_parse_etag(const char *etag, uint64_t *version)
{
	char *end;

	if (etag[0] != '"' || etag[1] < '0' || etag[1] > '9')
		return -EINVAL;
	errno = 0;
	*version = strtoull(etag + 1, &end, 10);
	return errno || strcmp(end, "\"") ? -EINVAL : 0;
}
