/*
 * What a variable may be called: 1 to VAR_KEY_MAX_BYTES of A-Z a-z 0-9 and
 * . _ : / - ; in a pattern of a token also "*". Pure.
 */
#pragma once

#include <stdbool.h>

#define VAR_KEY_MAX_BYTES 256
#define VAR_KEY_RULE "1 to 256 characters of A-Z a-z 0-9 . _ : / -"

bool var_key_valid(const char *key);
bool var_pattern_valid(const char *pattern);
