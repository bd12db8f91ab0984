/*
 * Scripts that use the old helpers (files beside the script: cronium.py,
 * ./cronium.js, ./cronium.sh), rewritten for the SDKs. Strings and comments
 * are not touched; what cannot be decided is said, and left. Pure.
 *
 *   text ─▶ tokens (migrate_lex_*.c) ─▶ edits and notes (migrate_python.c,
 *   migrate_node*.c, migrate_bash.c) ─▶ new text
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define MIGRATE_TEXT_MAX_BYTES (1024 * 1024)
#define MIGRATE_NOTES_MAX 1000

struct buf;

enum migrate_language {
	MIGRATE_PYTHON,
	MIGRATE_NODE,        /* CommonJS, unless it has import or export */
	MIGRATE_NODE_MODULE, /* .mjs: await at the top level */
	MIGRATE_BASH,
};

struct migrate_note {
	size_t line; /* from 1 */
	bool human;  /* something is left to do */
	char *text;
};

struct migrate_edit {
	size_t start, len; /* what goes */
	size_t order;      /* of those at one place; from 1, 0 goes first */
	char *text;        /* what comes */
};

/* Embedded by value; zero is empty. */
struct migrate {
	const char *text;
	size_t len;
	struct migrate_note *notes; /* by line */
	size_t n_notes;
	struct migrate_edit *edits;
	size_t n_edits;
	bool out_of_memory;
};

/* By the name's suffix, else by the first line; -EINVAL where neither says. */
int migrate_language(const char *name, const char *text, size_t len,
		     enum migrate_language *out) MUST_CHECK;

/* helper_beside: the old helper is still there. text has to outlive m. Appends
 * the new text to out. 0 or -ENOMEM. */
int migrate_text(struct migrate *m, enum migrate_language language,
		 bool helper_beside, const char *text, size_t len,
		 struct buf *out) MUST_CHECK;
void migrate_deinit(struct migrate *m);
