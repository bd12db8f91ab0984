/*
 * The job specification: what a user may ask for. Takes it as JSON, says
 * everything that is wrong with it at once, and gives back the normal form
 * in which every member is present. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/macro.h"
#include "common/violations.h"

#define JOB_SPEC_NAME_MAX_BYTES 200
#define JOB_SPEC_SCRIPT_NAME_MAX_BYTES 128
#define JOB_SPEC_IMAGE_MAX_BYTES 255
#define JOB_SPEC_LIST_MAX_ITEMS 1024 /* args, env */
#define JOB_SPEC_LIST_MAX_BYTES (64 * 1024)
#define JOB_SPEC_LABELS_MAX 64
#define JOB_SPEC_LABEL_KEY_MAX_BYTES 64
#define JOB_SPEC_LABEL_MAX_BYTES 256
#define JOB_SPEC_PATTERNS_MAX_BYTES 2048 /* so that a token fits its limit */
#define JOB_SPEC_TIMEOUT_MAX_MS (30LL * 24 * 3600 * 1000)
#define JOB_SPEC_VIOLATIONS_MAX VIOLATIONS_MAX

/* Members that the server alone sets, of jobs that are a capability's
 * (capability_job.h): its name, what of the machine it is shown ("none",
 * "listed", "all"), and whether it sees the machine's processes. */
#define JOB_SPEC_CAPABILITY "capability"
#define JOB_SPEC_SHARES "shares"
#define JOB_SPEC_PROCESSES "processes"

enum {
	JOB_SPEC_E_INVALID = 1, /* violations says why */
};

/*
 * in: an object. 0 with the normal form in *out (json_decref), or
 * JOB_SPEC_E_INVALID with sentences "member: what is wrong" joined by "; "
 * appended to violations, or -ENOMEM.
 */
int job_spec_parse(const json_t *in, json_t **out,
		   struct buf *violations) MUST_CHECK;

/* "python": the type of a specification's runtime; "" where there is none. Of
 * jobs of earlier versions, too, which have the name alone. */
const char *job_spec_runtime(const json_t *spec);

/* A file name that is safe to make in the work dir and to hand to an
 * interpreter: no path, no control character, no leading dash. */
bool job_spec_script_name_valid(const char *name);
