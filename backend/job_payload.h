/*
 * A payload as it is submitted: checked, and its manifest's wishes put beneath
 * what the specification says. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

enum {
	JOB_PAYLOAD_E_INVALID = 1, /* why says what */
};

/*
 * members: of a specification that was not checked yet. What the manifest says
 * is set where they leave it out: runtime (member by member), env (name by
 * name), script_name. 0; JOB_PAYLOAD_E_INVALID with sentences appended to why;
 * or negative errno.
 */
int job_payload_apply(json_t *members, const void *data, size_t len,
		      struct buf *why) MUST_CHECK;
