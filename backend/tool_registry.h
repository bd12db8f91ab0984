/*
 * The tools that there are: the built-in ones, and over them, by name, the
 * files of a directory. A file with a mistake is a tool with a problem; the
 * others work. A changed directory is seen by itself, at most
 * TOOL_REGISTRY_CHECK_MS after it was.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/tool_file.h"
#include "common/macro.h"

#define TOOL_REGISTRY_CHECK_MS 1000
#define TOOL_REGISTRY_FILES_MAX 1000
#define TOOL_REGISTRY_FILE_MAX_BYTES (256 * 1024)
#define TOOL_REGISTRY_PROBLEM_BYTES 4096
#define TOOL_REGISTRY_BUILTIN "built in"

struct tool_registry;

/* Never changes; whoever keeps one over a loop turn references it. */
struct tool_entry {
	char *name;
	char *source;      /* a path, or TOOL_REGISTRY_BUILTIN */
	struct tool *tool; /* NULL: it has a problem */
	char *problem;     /* a sentence, or NULL */
	unsigned int refs; /* private */
};

/* dir need not exist. 0 or negative errno. */
int tool_registry_new(struct tool_registry **out, const char *dir) MUST_CHECK;
void tool_registry_free(struct tool_registry *r);
DEFINE_CLEANUP(struct tool_registry *, tool_registry_free)

/* Reads the directory again where it has changed. now_ms: clock_mono_ms().
 * Problems are logged when they come up. */
void tool_registry_refresh(struct tool_registry *r, uint64_t now_ms);
/* Reads it again in any case. */
void tool_registry_reload(struct tool_registry *r);

/* Valid until the next refresh or reload. NULL: there is none. */
struct tool_entry *tool_registry_find(const struct tool_registry *r,
				      const char *name);
/* By name: i from 0 on, NULL after the last. */
const struct tool_entry *tool_registry_at(const struct tool_registry *r,
					  size_t i);

struct tool_entry *tool_entry_ref(struct tool_entry *e);
void tool_entry_unref(struct tool_entry *e);

/* A file by itself, for `cronium tools check`: an entry with one reference,
 * or NULL when memory ran out. */
struct tool_entry *tool_entry_load(const char *file, const char *source,
				   const void *text, size_t len);
