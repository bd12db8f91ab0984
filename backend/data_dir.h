/*
 * The data directory: 0700, and used by one backend at a time, which holds
 * an flock on DATA/lock (it goes with the process, however that ends).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct data_dir;

/*
 * Makes the directory where it is missing, and locks it, waiting at most
 * wait_ms for who has it: see common/file_lock.h. On failure a negative errno
 * and a sentence in err; -EBUSY names the process that has it.
 */
int data_dir_open(struct data_dir **out, const char *path, uint32_t wait_ms,
		  char *err, size_t err_size) MUST_CHECK;
/* Lets go of the lock; NULL is fine. */
void data_dir_close(struct data_dir *d);
const char *data_dir_path(const struct data_dir *d);
