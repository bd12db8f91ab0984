/* Clocks. Deadlines use the monotonic clock; records use the wall clock. */
#pragma once

#include <stdint.h>
#include <sys/time.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Milliseconds since the Unix epoch. */
int64_t clock_wall_ms(void);
int64_t clock_wall_s(void);
/* The same as it was when the process first asked, and how long that is ago:
 * never jumps, whoever sets the clock. For leases and other promises to wait;
 * not for tokens, whose readers have clocks of their own. */
int64_t clock_steady_ms(void);

/* A duration as libevent and setsockopt(2) want it. */
struct timeval clock_timeval(uint64_t ms);
