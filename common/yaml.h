/*
 * YAML files that people write (tools, fixtures, manifests), read into a
 * JSON tree. libyaml reads the syntax (YAML 1.1); what a plain scalar means is
 * decided as JSON does, so that nothing surprises:
 *
 *   null ~ (nothing)   null              true false      a boolean
 *   12 -3 0            an integer        1.5 -2e3        a real number
 *   everything else is a string: yes, no, on, off, True, 0x1f, 007, 1_000,
 *   .inf, 2024-01-01; so is every quoted or block scalar
 *
 * A key is always a string. Refused, with line and column: more than one
 * document, a key that is there twice, anchors and aliases, tags but !!str, an
 * integer beyond 64 bits, U+0000. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/macro.h"

#define YAML_TEXT_MAX_BYTES (1024 * 1024)
#define YAML_DEPTH_MAX 64
#define YAML_ERROR_MAX_BYTES 256          /* good room for a message */
#define YAML_ERROR_MEMORY "out of memory" /* the message then */

/*
 * The tree (json_decref), or NULL with a sentence in err: "line 3, column 7:
 * the key "name" is there twice". An empty text is null.
 */
json_t *yaml_parse_text(const void *data, size_t len, char *err,
			size_t err_size) MUST_CHECK;

/*
 * The same by the file's name: one that ends in .json is strict JSON, with
 * the same limits and form of messages; everything else is YAML.
 */
json_t *yaml_parse_named(const char *name, const void *data, size_t len,
			 char *err, size_t err_size) MUST_CHECK;
