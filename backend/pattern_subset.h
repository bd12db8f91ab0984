/*
 * Whether one may hand on a permission: what a pattern ("*" matches any run of
 * characters) names must be within what one has oneself. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/macro.h"

struct token_patterns;

/* True when whatever p matches, q matches as well. */
bool pattern_within(const char *p, const char *q);
/* The same for a set; says no where several of the set are needed to cover p,
 * which is never too much. */
bool pattern_within_any(const char *p, const struct token_patterns *set);
