/*
 * What an agent says of itself, and a job may ask for: "gpu=yes,zone=a". In
 * the normal form they are sorted by key and separated by one comma. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define AGENT_LABELS_MAX 16
#define AGENT_LABEL_MAX_BYTES 63 /* of a key, and of a value */
#define AGENT_LABELS_MAX_BYTES \
	(AGENT_LABELS_MAX * 2 * (AGENT_LABEL_MAX_BYTES + 1))
#define AGENT_LABEL_RULE "KEY=VALUE, each 1 to 63 letters, digits, . _ - /"

/* "k=v,k=v" in any order; "" is none. 0, or -EINVAL with a sentence in err
 * that begins with what is wrong. */
int agent_labels_parse(const char *text, char out[AGENT_LABELS_MAX_BYTES],
		       char *err, size_t err_size) MUST_CHECK;
/* {"k":"v"}, or NULL for none. The same. */
int agent_labels_from_json(const json_t *object,
			   char out[AGENT_LABELS_MAX_BYTES], char *err,
			   size_t err_size) MUST_CHECK;
/* Of the normal form: an object; NULL on ENOMEM. */
json_t *agent_labels_json(const char *labels) MUST_CHECK;
/* Whether every one of wanted is in had; both in the normal form. */
bool agent_labels_within(const char *wanted, const char *had);
