/*
 * Thin helpers over jansson for the JSON that we own. Values that belong to
 * the user (inputs, outputs, variables) pass through as bytes: json_check()
 * only says whether they are one JSON value.
 *
 * jansson instead of cJSON: 64-bit integers stay exact, duplicate keys and
 * invalid UTF-8 are refused, and Debian ships it as a static library.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define JSON_DEPTH_MAX 64 /* nesting accepted by json_check() */

#define _cleanup_json_ _cleanup_(json_decrefp)

/*
 * Checks that data is exactly one JSON value (RFC 8259) of at most
 * JSON_DEPTH_MAX levels, valid UTF-8, in constant memory (yajl). 0, -EINVAL
 * with the offset of the offending byte in *at, or -ENOMEM.
 */
int json_check(const void *data, size_t len, size_t *at) MUST_CHECK;

/* Whether it is UTF-8 from end to end; jansson refuses other strings. */
bool json_utf8_valid(const char *s, size_t len);

/* Parses an object; NULL with a message in err (which may be NULL with size 0)
 * for anything else. */
json_t *json_parse_object(const void *data, size_t len, char *err,
			  size_t err_size);

/* Members with a default for "absent"; the wrong type counts as absent. */
const char *json_get_str(const json_t *o, const char *key, const char *def);
int64_t json_get_int(const json_t *o, const char *key, int64_t def);
bool json_get_bool(const json_t *o, const char *key, bool def);

/* "a string", "null", …: what a value is, for messages. */
const char *json_type_name(const json_t *v);

/* Appends the compact form. 0 or -ENOMEM. */
int json_append(struct buf *b, const json_t *value) MUST_CHECK;
/* Appends s as a JSON string with its quotes; invalid UTF-8 is replaced. */
int json_append_string(struct buf *b, const char *s, size_t len) MUST_CHECK;
