/*
 * Memory that is freed all at once: what one store operation copies in, and
 * what its result points to. Zero-initialised is empty and valid.
 *
 * A failed allocation is remembered in `failed`, so that code that fills a
 * result checks once at its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	bool failed;
};

/* wipe: overwrite the memory first, for secrets. */
void arena_deinit(struct arena *a, bool wipe);

/* Aligned for any object, not zeroed. NULL when there is no memory. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* A copy with a NUL behind it; NULL for NULL. */
void *arena_dup(struct arena *a, const void *data, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_vprintf(struct arena *a, const char *fmt, __builtin_va_list ap)
	PRINTF_LIKE(2, 0);
