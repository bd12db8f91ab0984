/*
 * Where queued jobs may go at the moment: the connected orchestrators and what
 * the queue knows, as waiting.h judges it; and the job object with what the
 * job waits for.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "backend/waiting.h"
#include "common/macro.h"

struct backend;
struct store_job;

/* As of one moment of the loop. */
struct job_place {
	struct waiting_place place;
	struct waiting_agent *agents; /* of place */
	const char **labels;          /* of each of them */
};

/* 0 or -ENOMEM. */
int job_place_init(struct job_place *p, const struct backend *b) MUST_CHECK;
void job_place_deinit(struct job_place *p);
void job_place_explain(struct job_place *p, const struct store_job *job,
		       struct waiting *out);
/* The same number as long as nothing has changed that jobs may wait for. */
uint64_t job_place_digest(const struct job_place *p);

/* What one job waits for: 0 or -ENOMEM. */
int job_waiting(const struct backend *b, const struct store_job *job,
		struct waiting *out) MUST_CHECK;
/* The job object with it; NULL on ENOMEM. */
json_t *job_place_json(const struct backend *b, const struct store_job *job);
