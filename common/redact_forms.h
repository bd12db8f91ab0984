/*
 * The forms in which a secret may show: as it is, JSON-escaped (as stored,
 * too), as repr() quotes it, in base64 (three alignments, both alphabets),
 * percent-encoded. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define REDACT_FORMS_SHORT 1

/*
 * Calls add for each form of a JSON value and of every string in it; the same
 * form may come twice. 0, REDACT_FORMS_SHORT when a part of the value is below
 * REDACT_SECRET_MIN_BYTES (the others were added), -ENOMEM, or what add
 * returned.
 */
int redact_forms(const void *value, size_t len,
		 int (*add)(void *ctx, const uint8_t *bytes, size_t len),
		 void *ctx) MUST_CHECK;
