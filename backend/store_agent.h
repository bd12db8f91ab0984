/*
 * Agents in the store: every orchestrator that was seen in the last days, so
 * that all backends of one database know it. See store.h for how operations
 * work; claims heed what is said here (drained, accepting).
 */
#pragma once

#include "backend/store.h"
#include "common/macro.h"

#define STORE_AGENTS_MAX 4096
#define STORE_AGENT_KEEP_MS (7LL * 24 * 3600 * 1000)
/* One that is with another backend and was not heard of for longer is taken
 * for away: beats come three times in a lease, which is 30 s. */
#define STORE_AGENT_SILENT_MS 30000

struct store_agent_connect {
	const char *name, *executors, *address;
	const char *labels;  /* normal form: common/agent_labels.h */
	const char *backend; /* the instance that it is connected to */
	int64_t slots;
};
/* result->agent. It accepts jobs, until it says otherwise; whether it is
 * drained stays. STORE_E_LIMIT: there are STORE_AGENTS_MAX already. */
int store_agent_connect(struct store *s,
			const struct store_agent_connect *connect,
			struct store_done done) MUST_CHECK;

struct store_agent_disconnect {
	const char *name;
	const char *backend; /* changes nothing where it is with another */
};
int store_agent_disconnect(struct store *s,
			   const struct store_agent_disconnect *disconnect,
			   struct store_done done) MUST_CHECK;

struct store_agent_drain {
	const char *name;
	bool drained; /* false: it takes jobs again */
	struct store_audit audit;
};
/* result->agent; no claim of it that is begun later finds anything.
 * STORE_E_NOT_FOUND. */
int store_agent_drain(struct store *s, const struct store_agent_drain *drain,
		      struct store_done done) MUST_CHECK;

struct store_agent_forget {
	const char *name;
	struct store_audit audit;
};
/* STORE_E_NOT_FOUND; STORE_E_STATE: it is connected. */
int store_agent_forget(struct store *s, const struct store_agent_forget *forget,
		       struct store_done done) MUST_CHECK;

/* result->agent; STORE_E_NOT_FOUND. */
int store_agent_get(struct store *s, const char *name,
		    struct store_done done) MUST_CHECK;
/* result->agents, by name: those that were seen in STORE_AGENT_KEEP_MS. */
int store_agent_list(struct store *s, struct store_done done) MUST_CHECK;
