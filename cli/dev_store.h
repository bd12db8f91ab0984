/*
 * The variables of `cronium dev`, in memory: versions, conditions and the
 * history of changes as the backend's store has them. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/macro.h"

/* As the backend's. */
#define DEV_CHANGES_MAX 4096
#define DEV_CHANGE_VALUE_MAX_BYTES (32 * 1024)

enum {
	DEV_STORE_E_NOT_FOUND = 1,
	DEV_STORE_E_CONFLICT, /* it is absent, or at another version */
	DEV_STORE_E_EXISTS,
	DEV_STORE_E_TYPE, /* no number */
	DEV_STORE_E_RANGE,
};

struct dev_variable {
	TAILQ_ENTRY(dev_variable) link; /* by key */
	char *key;
	struct buf value;
	int64_t version;
	bool secret;
	bool written; /* by the script, or deleted and made anew */
};
TAILQ_HEAD(dev_variables, dev_variable);

struct dev_change {
	TAILQ_ENTRY(dev_change) link; /* by version, without a gap */
	char *key;
	int64_t version;
	bool deleted, secret;
	bool kept; /* the value is here; else it is the variable's own */
	struct buf value;
};
TAILQ_HEAD(dev_changes, dev_change);

/* Embedded by value. */
struct dev_store {
	struct dev_variables variables;
	struct dev_changes changes;
	size_t n_changes;
	int64_t version; /* of the last write */
};

void dev_store_init(struct dev_store *s);
void dev_store_deinit(struct dev_store *s);

/* NULL where there is none; until the next write. */
const struct dev_variable *dev_store_find(const struct dev_store *s,
					  const char *key);
/* What was there before the script: no change. 0 or -ENOMEM. */
int dev_store_add(struct dev_store *s, const char *key, const void *value,
		  size_t len, bool secret) MUST_CHECK;

/* 0, DEV_STORE_E_* or -ENOMEM; after 0 the last change is this one. */
int dev_store_put(struct dev_store *s, const char *key, const void *value,
		  size_t len, int64_t expect, bool *created) MUST_CHECK;
int dev_store_increment(struct dev_store *s, const char *key,
			const char *by) MUST_CHECK;
int dev_store_delete(struct dev_store *s, const char *key,
		     int64_t expect) MUST_CHECK;

const struct dev_change *dev_store_last(const struct dev_store *s);
/* Whether changes after a version (of a key, or of all where that is NULL) are
 * not all known any more. */
bool dev_store_lost(const struct dev_store *s, const char *key, int64_t after);
/* The value of a change that is no deletion. */
const struct buf *dev_change_value(const struct dev_store *s,
				   const struct dev_change *c);
