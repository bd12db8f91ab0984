/* Small language helpers that every file may use. No dependencies. */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* Evaluate what they return twice: nothing that does something, reads a clock
 * or makes a number at random. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The struct of this type whose member ptr points to. */
#define CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * _cleanup_(fn) calls fn(&variable) when the variable goes out of scope.
 * DEFINE_CLEANUP(type, fn) makes fn##p, the form _cleanup_ wants, for a
 * destructor that takes a `type` pointer and accepts NULL.
 */
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define DEFINE_CLEANUP(type, fn)                 \
	static inline UNUSED void fn##p(type *p) \
	{                                        \
		if (*p)                          \
			fn(*p);                  \
	}

static inline UNUSED void freep(void *p)
{
	free(*(void **)p);
}

static inline UNUSED void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
