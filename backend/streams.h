/*
 * What the backend does about streams of records beside its calls: the hub of
 * readers and writers with its clock, and the removal of what a job that has
 * ended leaves behind.
 */
#pragma once

#include "common/macro.h"

/* Where the store could not remove it. */
#define STREAMS_SWEEP_RETRY_MS 30000

struct backend;
struct store_job;
struct stream_hub;
struct streams;

int streams_new(struct streams **out, struct backend *b) MUST_CHECK;
void streams_free(struct streams *s);
/* Removes what an earlier process did not come to. */
void streams_start(struct streams *s);
void streams_job_changed(struct streams *s, const struct store_job *job);
/* The backend stops: readers and those who wait are told. */
void streams_stop(struct streams *s);

struct stream_hub *streams_hub(const struct streams *s);
/* A writer waits: its time is watched. */
void streams_watch(struct streams *s);
