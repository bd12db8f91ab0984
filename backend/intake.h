/*
 * Reads submissions (job_submission.h), and signs their programs, beside the
 * loop: to unpack and check a payload of 256 MiB takes most of a second, in
 * which nobody else would be served. One thread, in the order of their coming;
 * what is so small that it cannot take long is read at once.
 *
 * All functions belong to the loop's thread.
 */
#pragma once

#include <stdbool.h>

#include "backend/job_submission.h"
#include "common/buf.h"
#include "common/macro.h"

struct event_base;
struct intake;
struct intake_job;
struct payload_signer;

/* At the ratio that a payload may have: 3 ms. */
#define INTAKE_AT_ONCE_BYTES (16 * 1024)
/* Of those that are read or wait for it; one of any size is taken. */
#define INTAKE_WAITING_MAX_BYTES (256LL * 1024 * 1024)

/* r, and where it is not 0 the sentence in why, as job_submission_parse_json()
 * has them. s is valid during the call. */
typedef void (*intake_fn)(void *ctx, int r, const struct job_submission *s,
			  const char *why);

/* The signer outlives it. */
int intake_new(struct intake **out, struct event_base *base,
	       const struct payload_signer *signer) MUST_CHECK;
/* Calls nobody back. */
void intake_free(struct intake *in);

/*
 * Takes the bytes of body, and leaves it empty, in any case. frames: its form.
 * done is called once, perhaps before this returns; until then *handle, which
 * must stay where it is, is the job, for intake_cancel(), and then NULL. 0,
 * -ENOMEM, or -EAGAIN when too much waits; then done is not called.
 */
int intake_start(struct intake *in, struct buf *body, bool frames,
		 const struct job_submission_limits *limits, intake_fn done,
		 void *ctx, struct intake_job **handle) MUST_CHECK;
/* done is not called any more. NULL is fine. */
void intake_cancel(struct intake_job *job);
