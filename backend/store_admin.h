/* The audit log, API keys and statistics of the store; see store.h for how
 * operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

int store_audit_append(struct store *s, const struct store_audit *entry,
		       struct store_done done) MUST_CHECK;

struct store_audit_query {
	int64_t before;        /* an entry's id; 0: from the newest */
	const char *execution; /* NULL: all */
	const char *job;       /* it, and its executions; NULL: all */
	size_t limit;          /* 1 … STORE_LIST_MAX */
};
/* result->audit, newest first */
int store_audit_list(struct store *s, const struct store_audit_query *query,
		     struct store_done done) MUST_CHECK;

struct store_api_key_new {
	struct store_api_key key;
	struct store_audit audit;
};
/* STORE_E_EXISTS: this id or hash is known. */
int store_api_key_add(struct store *s, const struct store_api_key_new *add,
		      struct store_done done) MUST_CHECK;
struct store_api_key_delete {
	const char *id;
	struct store_audit audit;
};
int store_api_key_delete(struct store *s,
			 const struct store_api_key_delete *del,
			 struct store_done done) MUST_CHECK;
/* Sets last_used_ms to now. */
int store_api_key_touch(struct store *s, const char *id,
			struct store_done done) MUST_CHECK;
/* result->api_keys, all of them */
int store_api_key_list(struct store *s, struct store_done done) MUST_CHECK;

struct store_stats {
	uint64_t calls_total, commits_total;
	size_t queued_calls, queued_bytes; /* not carried out yet */
	bool away; /* what waits for the database waits for a connection */
	const char *failed; /* why nothing is stored any more, or NULL */
};
/* For /metrics; at once, from the loop thread. */
void store_get_stats(const struct store *s, struct store_stats *out);
