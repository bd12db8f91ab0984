/* Hosts in the store; see store.h for how operations work. */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

#define STORE_HOSTS_MAX 1000

struct store_host_put {
	struct store_host host;
	struct store_audit audit;
};
/* Makes it, or replaces the one of this name: result->host, ->created.
 * STORE_E_LIMIT: there are STORE_HOSTS_MAX already. */
int store_host_put(struct store *s, const struct store_host_put *put,
		   struct store_done done) MUST_CHECK;

struct store_host_delete {
	const char *name;
	struct store_audit audit;
};
/* STORE_E_NOT_FOUND. Jobs that name it stay as they are. */
int store_host_delete(struct store *s, const struct store_host_delete *del,
		      struct store_done done) MUST_CHECK;

/* result->host; STORE_E_NOT_FOUND. */
int store_host_get(struct store *s, const char *name,
		   struct store_done done) MUST_CHECK;
/* result->hosts, all of them, by name. */
int store_host_list(struct store *s, struct store_done done) MUST_CHECK;
