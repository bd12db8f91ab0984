/*
 * Jobs that end with the execution that waits for them (store_job_new.bound):
 * cancelled when it has ended, whoever ended it, and after a restart.
 */
#pragma once

struct backend;
struct store_job;

/* A job was bound to this execution. */
void orphans_note(struct backend *b, const char *execution);
/* A job changed; to be told before live_update(). */
void orphans_job_changed(struct backend *b, const struct store_job *job);
/* Once the live executions are known: what happened while we were gone. */
/* Whoever had to may not have done it. */
void orphans_look(struct backend *b);
void orphans_start(struct backend *b);
