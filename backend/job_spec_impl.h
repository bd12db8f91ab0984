/* What the files of job_spec.h share. */
#pragma once

#include "backend/job_spec.h"
#include "common/violations.h"

struct job_spec_member;

/* Says what is wrong with v. */
typedef void job_spec_check_fn(struct violations *c,
			       const struct job_spec_member *m,
			       const json_t *v);

struct job_spec_member {
	const char *name;
	job_spec_check_fn *check; /* NULL: job_spec_complete() does it */
	const char *initial;      /* JSON for "absent"; NULL: decided later */
	double min, max;
	const char *choices[4];
};

job_spec_check_fn job_spec_check_choice;
job_spec_check_fn job_spec_check_number;
job_spec_check_fn job_spec_check_integer;
job_spec_check_fn job_spec_check_bool;
job_spec_check_fn job_spec_check_text;
job_spec_check_fn job_spec_check_image;
job_spec_check_fn job_spec_check_args;
job_spec_check_fn job_spec_check_env;
job_spec_check_fn job_spec_check_labels;
job_spec_check_fn job_spec_check_patterns;
job_spec_check_fn job_spec_check_agent;
job_spec_check_fn job_spec_check_agent_labels;
job_spec_check_fn job_spec_check_host;
job_spec_check_fn job_spec_check_session;
job_spec_check_fn job_spec_check_job;
job_spec_check_fn job_spec_check_own;

/*
 * What follows from several members: names, runtime, executor. in is what was
 * given, spec what becomes the normal form. 0 or -ENOMEM.
 */
int job_spec_complete(struct violations *c, const json_t *in,
		      json_t *spec) MUST_CHECK;
