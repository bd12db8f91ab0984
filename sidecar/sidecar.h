/*
 * The sidecar of one pod: the only door out for its script. It has one seat
 * (seat.h), and ends with it: a sidecar never keeps a job alive.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

struct sidecar;
struct sidecar_options;

/* options must outlive the sidecar. 0, or negative errno with a sentence for
 * the user in err. */
int sidecar_new(struct sidecar **out, const struct sidecar_options *options,
		char *err, size_t err_size) MUST_CHECK;
/* Serves until its seat is gone; the exit code of the program. */
int sidecar_run(struct sidecar *s);
void sidecar_free(struct sidecar *s);
DEFINE_CLEANUP(struct sidecar *, sidecar_free)
