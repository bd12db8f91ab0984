/* Removes the oldest segments of the log. */
#pragma once

struct wal_keep;

/* Those that are over the limits, oldest first, up to the first that has to
 * stay; never the newest. What cannot be removed stays, until the next
 * time. */
void wal_retain(int dir_fd, const struct wal_keep *keep);
