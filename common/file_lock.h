/* A directory belongs to one process: flock(2) with a bounded wait. */
#pragma once

#include <stdint.h>

#include "common/macro.h"

/* How long an earlier process, which may be on its way out, is waited for. */
#define FILE_LOCK_WAIT_MS 12000

/*
 * Takes the exclusive lock of an open file, waiting at most max_ms for whoever
 * holds it. Uses SIGALRM and the real-time interval timer meanwhile: for the
 * start of a program, not for its loop. 0, -EBUSY when it is still held, or
 * negative errno.
 */
int file_lock(int fd, uint32_t max_ms) MUST_CHECK;
