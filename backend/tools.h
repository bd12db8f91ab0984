/*
 * The tool actions of a backend: which tools there are, whom they may reach,
 * and the calls that are under way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/allow_list.h"
#include "common/macro.h"

#define TOOLS_CALLS_MAX 64          /* at a time */
#define TOOLS_EXECUTION_CALLS_MAX 8 /* of these, of one execution */
#define TOOLS_PARAMS_MAX_BYTES (1024 * 1024)
#define TOOLS_RETRY_AFTER_S "1" /* when there are too many */

struct backend;
struct tool_call;
struct tool_native;
struct tool_registry;
struct tool_sender;

struct tools {
	struct backend *b;
	struct tool_registry *registry;
	struct tool_native *native;
	struct allow_list allow;
	struct tool_sender *sender;
	LIST_HEAD(tool_calls, tool_call) calls;
	struct tool_call *by_key; /* uthash: those with an Idempotency-Key */
	size_t n_calls;
	bool stopping;
	void (*on_idle)(void *ctx);
	void *ctx;
};

/* 0, or negative errno with a sentence in err. */
int tools_new(struct tools **out, struct backend *b, char *err,
	      size_t err_size) MUST_CHECK;
/* What is under way is dropped: its outcome is unknown. After the server, whose
 * exchanges wait for calls, and before the store. */
void tools_free(struct tools *t);

/* Reads the tools' directory again. */
void tools_reload(struct tools *t);
/* The registry, its directory looked at. */
struct tool_registry *tools_registry(struct tools *t);

/* No new calls; on_idle (may be NULL) once the last one has ended, maybe at
 * once. Those that wait for another try end now. */
void tools_stop(struct tools *t, void (*on_idle)(void *ctx), void *ctx);
