/* What follows from a key that had to be made although the store was in use:
 * docs/mending.md, "A key is lost". A first start says nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/job_state.h"
#include "backend/keys.h"

#define KEY_LOSS_TEXT_BYTES 512

/* The sentence about one key, with how many jobs there are in each state; ""
 * where nothing is lost, because there is no job yet. */
void key_loss_text(enum keys_made made, const char *dir,
		   const int64_t counts[JOB_STATES],
		   char out[KEY_LOSS_TEXT_BYTES]);
/* A warning in the log for each key that was made. */
void key_loss_warn(const struct keys *k, const int64_t counts[JOB_STATES]);
