/*
 * manifest.yaml of a payload: what is in it and how it wants to be run. Takes
 * YAML, says everything that is wrong at once. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

#define MANIFEST_NAME "manifest.yaml"
#define MANIFEST_MAX_BYTES (64 * 1024)

enum {
	MANIFEST_E_INVALID = 1, /* violations says why */
};

/*
 * 0 with the normal form in *out (json_decref), or MANIFEST_E_INVALID with
 * sentences "member: what is wrong" joined by "; " appended to violations, or
 * -ENOMEM. The normal form:
 *
 *   {"version":"v1","interpreter":"python","entrypoint":"main.py",
 *    "env":{…strings…},"runtime":{…as given, checked…},"metadata":{…}}
 *
 * runtime has only the members that were given (the name in "environment",
 * too, where that was a name).
 */
int manifest_parse(const void *yaml, size_t len, json_t **out,
		   struct buf *violations) MUST_CHECK;
