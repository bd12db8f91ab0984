/* Variables in the store, and what changed of them; see store.h for how
 * operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

#define STORE_CHANGES_MAX 4096 /* of variables that are remembered */
#define STORE_CHANGE_VALUE_MAX_BYTES (32 * 1024) /* larger: not kept twice */

/* Versions are taken from one counter, one for each write, deletions too: they
 * only grow, and a deleted and created variable never gets an old version
 * again. */
#define STORE_EXPECT_ANY INT64_C(-1)
#define STORE_EXPECT_ABSENT INT64_C(0)
#define STORE_EXPECT_PRESENT INT64_C(-2) /* any version, but it exists */

enum store_secret {
	STORE_SECRET_KEEP = 0, /* as it is; a new variable is no secret */
	STORE_SECRET_ON,
	STORE_SECRET_OFF,
};

/* result->variable, or STORE_E_NOT_FOUND */
int store_variable_get(struct store *s, const char *key,
		       struct store_done done) MUST_CHECK;

struct store_variable_query {
	const char *prefix; /* NULL or "": all */
	const char *after;  /* a key: only later ones; NULL: from the first */
	size_t limit;       /* 1 … STORE_LIST_MAX */
};
/* result->variables, by key, without their values */
int store_variable_list(struct store *s,
			const struct store_variable_query *query,
			struct store_done done) MUST_CHECK;

struct store_variable_put {
	const char *key;
	struct store_blob value; /* one JSON value */
	enum store_secret secret;
	int64_t expect; /* a version, or STORE_EXPECT_* */
	struct store_writer writer;
	struct store_audit audit;
};
/* result->variable, with the value as given unless it is a repeat, ->created;
 * STORE_E_EXISTS;
 * STORE_E_CONFLICT with the present version in result->variable (0: absent);
 * STORE_E_ENDED; STORE_E_KEY_REUSED. */
int store_variable_put(struct store *s, const struct store_variable_put *put,
		       struct store_done done) MUST_CHECK;

struct store_variable_delete {
	const char *key;
	int64_t expect; /* a version, STORE_EXPECT_ANY or _PRESENT */
	struct store_writer writer;
	struct store_audit audit;
};
/* result->variable: the key, and the version that the deletion took;
 * STORE_E_NOT_FOUND, and as store_variable_put(). */
int store_variable_delete(struct store *s,
			  const struct store_variable_delete *del,
			  struct store_done done) MUST_CHECK;

struct store_variable_increment {
	const char *key;
	const char *by; /* a JSON number */
	struct store_writer writer;
	struct store_audit audit;
};
/*
 * Adds to a number; an absent variable counts as 0. result->variable with the
 * new value. Two integers are added exactly in 64 bits; where either has a
 * fraction or exponent the sum is a double, written so that it reads back the
 * same. STORE_E_TYPE, STORE_E_RANGE, STORE_E_ENDED, STORE_E_KEY_REUSED.
 */
int store_variable_increment(struct store *s,
			     const struct store_variable_increment *inc,
			     struct store_done done) MUST_CHECK;

struct store_change_query {
	const char *key; /* NULL: of all, without their values */
	int64_t after;   /* a version; STORE_CHANGES_NONE: only how it is now */
	size_t limit;    /* 1 … STORE_LIST_MAX */
	size_t max_bytes; /* of values; one change is given in any case */
};
#define STORE_CHANGES_NONE INT64_C(-1)
/*
 * result->changes: the changes after a version, in their order. reset says that
 * they are not all known any more: then there are none, but, as with
 * STORE_CHANGES_NONE, for a key how it is now. Where the key still has the
 * version that it had then, nothing is missing.
 */
int store_change_list(struct store *s, const struct store_change_query *query,
		      struct store_done done) MUST_CHECK;
