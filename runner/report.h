/* What EXIT says of a script that has ended or could not start. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define REPORT_ERROR_BYTES 512

struct report {
	int exit_code; /* 128 + signal when a signal ended it */
	int signal;    /* 0: it exited by itself */
	uint64_t oom_kills_before;
	bool own_cgroup;    /* usage.h */
	int64_t started_us; /* wall clock at exec; 0: it never started */
	char error[REPORT_ERROR_BYTES]; /* why it never started, or "" */
};

/* The script is about to be started. */
void report_begin(struct report *r);
/* From wait(2); an error that was set before stays. */
void report_set_status(struct report *r, int status);
void report_set_error(struct report *r, int exit_code, const char *error);
/* Appends the JSON with the resource usage of all reaped children. */
int report_append(const struct report *r, struct buf *out) MUST_CHECK;
