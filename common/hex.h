/* Hexadecimal digits. */
#pragma once

#include <stddef.h>

/* 0 to 15, or -1 for what is no digit; upper and lower case. */
int hex_value(char digit);

/* Writes 2 * n lower-case digits and no NUL. */
void hex_encode(const void *data, size_t n, char *out);
