/*
 * What is wrong with a tool's file or with an action's parameters: everything
 * at once, up to a limit, each with its place as a JSON pointer. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define TOOL_VIOLATIONS_MAX 20 /* the rest is only counted */
#define TOOL_VIOLATION_MESSAGE_MAX_BYTES 512
#define TOOL_PATH_MAX_BYTES 512 /* a longer pointer is cut at its end */

/* Zero-initialised is empty and valid. */
struct tool_violations {
	json_t *list; /* [{"path":"/a/0","message":"…"}]; NULL: none */
	size_t found; /* also those that are not in the list any more */
	int error;    /* -ENOMEM, remembered */
};

void tool_violations_deinit(struct tool_violations *v);

/* The message is cut at its limit; bytes that are not UTF-8 become '?'. */
void tool_violations_add(struct tool_violations *v, const char *path,
			 const char *fmt, ...) PRINTF_LIKE(3, 4);
/*
 * Appends "/a/0: message; /b: message; and 3 more", for people; a path that
 * is empty is left out. 0 or -ENOMEM.
 */
int tool_violations_text(const struct tool_violations *v,
			 struct buf *out) MUST_CHECK;

/* A place in a tree, grown and cut as one walks. "" is the whole. */
struct tool_path {
	char text[TOOL_PATH_MAX_BYTES];
	size_t len;
};

void tool_path_init(struct tool_path *p, const char *start);
/* Appends "/name", escaped as RFC 6901 asks (~0, ~1); returns the length
 * before it, for tool_path_pop(). */
size_t tool_path_push(struct tool_path *p, const char *name);
size_t tool_path_push_index(struct tool_path *p, size_t index);
void tool_path_pop(struct tool_path *p, size_t len);
