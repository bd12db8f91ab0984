/* Which program the kernel starts in a program's place: its PT_INTERP. */
#pragma once

#include <limits.h>

#include "common/macro.h"

/* 0, or -ENOEXEC for a file that names none. */
int elf_loader_find(const char *program, char out[static PATH_MAX]) MUST_CHECK;
