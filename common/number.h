/* JSON numbers as text: exact in 64 bits where they are integers. Pure. */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define NUMBER_MAX_BYTES 32 /* any sum, with its NUL */

enum {
	NUMBER_E_TYPE = 1, /* one of the two is not a JSON number */
	NUMBER_E_RANGE,    /* an integer over 64 bits, or not finite */
};

/*
 * Adds two JSON numbers (white space around them is fine). Two integers give
 * an integer. Where either has a fraction or an exponent, both are doubles,
 * and so is the sum: it is written with a fraction or exponent, with as few
 * digits as read back to the same double.
 */
int number_add(const char *a, size_t a_len, const char *b, size_t b_len,
	       char out[NUMBER_MAX_BYTES]) MUST_CHECK;
