#include "sidecar/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_TRIM_BYTES (128 * 1024) /* of free heap, given back */
#define MEMORY_STEP_BYTES (16 * 1024)  /* the heap grows by */

/* Made by the linker: the read-only, executable part of the program. */
extern const char __executable_start[], etext[];

void memory_stay_small(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, MEMORY_TRIM_BYTES);
	mallopt(M_TOP_PAD, MEMORY_STEP_BYTES);
}

void memory_release(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)__executable_start & ~(page - 1);
	uintptr_t end = (uintptr_t)etext & ~(page - 1);

	malloc_trim(0);
	madvise((void *)start, end - start, MADV_DONTNEED);
}
