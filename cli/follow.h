/*
 * Watches a job to its end: its log to where the caller wants it, its state as
 * progress on a terminal. A stream that breaks is taken up at the same byte.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct api;

struct follow_options {
	int stdout_fd, stderr_fd; /* where the script's output goes */
	bool json;     /* every piece as a line of JSON on stdout instead */
	bool cancel;   /* Ctrl-C cancels the job; otherwise it only leaves */
	bool progress; /* tell what the job waits for */
};

enum follow_end {
	FOLLOW_ENDED,   /* the job is over: *job is its last state */
	FOLLOW_LEFT,    /* the user left */
	FOLLOW_LOST,    /* the server is gone; told on stderr */
	FOLLOW_REFUSED, /* no such job, or a write failed; told on stderr */
};

/* *job (json_decref) is NULL unless FOLLOW_ENDED. */
enum follow_end follow_job(struct api *api, const char *id,
			   const struct follow_options *options, json_t **job);

/* The same of a job that was started here: a server that was started for this
 * command stays until it has ended. CLI_OK with *job, or the exit code. */
int follow_own_job(struct api *api, const char *id,
		   const struct follow_options *options, json_t **job);
