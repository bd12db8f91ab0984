/*
 * A schema's pattern: PCRE2 with limits. Every item that the matcher tries is
 * counted against a budget that the caller gives, so a check takes bounded
 * time whatever the patterns and the strings are. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct tool_pattern;

#define TOOL_PATTERN_MAX_BYTES 1024
#define TOOL_PATTERN_SUBJECT_MAX_BYTES (64 * 1024) /* a longer string fails */
#define TOOL_PATTERN_BUDGET 2000000 /* items and bytes, for one check */
#define TOOL_PATTERN_MATCH_LIMIT 1000000
#define TOOL_PATTERN_DEPTH_LIMIT 1000
#define TOOL_PATTERN_HEAP_LIMIT_KIB 4096
#define TOOL_PATTERN_ERROR_MAX_BYTES 160

enum {
	TOOL_PATTERN_E_NO_MATCH = 1,
	TOOL_PATTERN_E_LIMIT, /* it took too long */
};

/*
 * As JavaScript has it: found anywhere, $ is the end alone, \d is ASCII.
 * NULL with a sentence in err; an empty err: out of memory.
 */
struct tool_pattern *tool_pattern_new(const char *text, char *err,
				      size_t err_size);
void tool_pattern_free(struct tool_pattern *p);
const char *tool_pattern_text(const struct tool_pattern *p);

/* 0, TOOL_PATTERN_E_*, or -ENOMEM. *budget becomes less. */
int tool_pattern_match(const struct tool_pattern *p, const char *s, size_t len,
		       uint64_t *budget) MUST_CHECK;

DEFINE_CLEANUP(struct tool_pattern *, tool_pattern_free)
