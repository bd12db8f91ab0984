/*
 * Which process it is: its number may be another one's by now, together with
 * the time when it was started it is not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_BOOT_ID_BYTES 40

/* In clock ticks from the boot on; 0: there is no such process. */
uint64_t process_start_time(pid_t pid);
/* A child of it; 0: there is none. */
pid_t process_child(pid_t pid);
/* Whether it is the first one of its PID namespace. */
bool process_is_init(pid_t pid);
/* Which run of the kernel this is; "" where it does not say. */
void process_boot_id(char out[PROCESS_BOOT_ID_BYTES]);
