/*
 * Fail points: named steps at which a test ends the process or makes a call
 * fail. They are compiled in by `meson configure -Dfail_points=true` and are
 * nothing at all otherwise. The names are the documentation of where a process
 * may die: `grep -rn FAIL_POINT` lists them.
 *
 * CRONIUM_FAIL_POINTS arms them, when the process starts:
 *
 *     store.commit.before=kill@3,wal.write=ENOSPC@10
 *
 * NAME=ACTION[@N]: at the N-th time that the step is reached (1). ACTION is
 *
 *     kill      SIGKILL to the process itself
 *     stop      SIGSTOP, until somebody sends SIGCONT
 *     ENOSPC    FAIL_POINT_ERROR() gives this errno, negative, that one time
 *     ENOSPC+   the same, from then on; also EIO, EROFS, ENOMEM
 *
 * An action that is none is told on standard error and ends the process: a test
 * that tests nothing is a defect.
 */
#pragma once

#ifdef CRONIUM_FAIL_POINTS

/* 0, or the negative errno that is armed for this step. From any thread. */
int fail_point_hit(const char *name);

#define FAIL_POINT(name) ((void)fail_point_hit(name))
#define FAIL_POINT_ERROR(name) fail_point_hit(name)

#else

#define FAIL_POINT(name) ((void)0)
#define FAIL_POINT_ERROR(name) 0

#endif
