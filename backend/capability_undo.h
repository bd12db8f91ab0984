/* What undoes a capability's job, from what the job has left as its output.
 * Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct capability;
struct store_job;

enum {
	CAPABILITY_UNDO_E_CANNOT = 1, /* the sentence says why */
};

/*
 * The name of the capability whose job it is, from its specification; NULL
 * where it is none's. json_decref *spec.
 */
const char *capability_undo_name(const struct store_job *job, json_t **spec);

/*
 * The ask (capability_job.h) of the job that puts back what was there: at the
 * place where job ran. output: what it has set, or NULL; c: NULL where it is no
 * capability's. force: whatever is there now. 0 with *ask (json_decref),
 * CAPABILITY_UNDO_E_CANNOT with a sentence in err, or -ENOMEM.
 */
int capability_undo_ask(const struct capability *c, const struct store_job *job,
			const json_t *spec, const json_t *output, bool force,
			json_t **ask, char *err, size_t err_size) MUST_CHECK;
