/*
 * What a user submits, in either form: one JSON object, or the frames SPEC,
 * SCRIPT, INPUT. The input is kept byte for byte; of a payload, which SCRIPT or
 * "content_base64" may be, the manifest has its say. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

struct job_submission {
	json_t *spec; /* normal form: job_spec.h */
	struct buf script;
	struct buf input;     /* one JSON value; "null" when none was given */
	struct buf signature; /* of the script: intake.h makes it */
};

/* Of what is neither script nor input: parsed, each byte may take forty. */
#define JOB_SUBMISSION_SPEC_MAX_BYTES (512 * 1024)

struct job_submission_limits {
	uint64_t script_bytes, input_bytes;
};

enum {
	JOB_SUBMISSION_E_JSON = 1,
	JOB_SUBMISSION_E_FRAMES,
	JOB_SUBMISSION_E_SPEC,
	JOB_SUBMISSION_E_PAYLOAD,
	JOB_SUBMISSION_E_TOO_LARGE,
};

/* "invalid_spec" …: the code of the problem document. */
const char *job_submission_code(int e);

/* 0, JOB_SUBMISSION_E_* with a sentence appended to why, or -ENOMEM. Deinit
 * *out in any case. */
int job_submission_parse_json(struct job_submission *out, const void *body,
			      size_t len,
			      const struct job_submission_limits *limits,
			      struct buf *why) MUST_CHECK;
int job_submission_parse_frames(struct job_submission *out, const void *body,
				size_t len,
				const struct job_submission_limits *limits,
				struct buf *why) MUST_CHECK;
void job_submission_deinit(struct job_submission *s);
