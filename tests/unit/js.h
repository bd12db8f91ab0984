/* JSON with ' for ", so that a test's tables can be read. */
#pragma once

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/macro.h"

/* Fails the test where it is no JSON; to be decref'd. */
static inline UNUSED json_t *js(const char *text)
{
	char *copy = strdup(text);
	json_error_t e;
	json_t *v;

	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	v = json_loads(copy, JSON_DECODE_ANY, &e);
	if (!v)
		fail_msg("%s: %s", text, e.text);
	free(copy);
	return v;
}
