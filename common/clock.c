#include "common/clock.h"

#include <pthread.h>
#include <time.h>

static struct timespec clock_now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t;
}

uint64_t clock_mono_us(void)
{
	struct timespec t = clock_now(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	struct timespec t = clock_now(CLOCK_REALTIME);

	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t clock_steady_offset_ms;

static void clock_steady_begin(void)
{
	clock_steady_offset_ms = clock_wall_ms() - (int64_t)clock_mono_ms();
}

int64_t clock_steady_ms(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, clock_steady_begin);
	return clock_steady_offset_ms + (int64_t)clock_mono_ms();
}

/* The coarse clock, which is right to some milliseconds and does not read the
 * processor's: this is asked several times a request. */
int64_t clock_wall_s(void)
{
	return clock_now(CLOCK_REALTIME_COARSE).tv_sec;
}

struct timeval clock_timeval(uint64_t ms)
{
	return (struct timeval){
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};
}
