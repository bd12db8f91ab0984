/*
 * What follows from a change of a job's state, once it is committed: a log
 * line, the table of live executions, those who watch, the queue. Every place
 * that changes a job ends here.
 */
#pragma once

struct backend;
struct store_job;

/* Another backend committed it, and it was read. */
void job_heard(struct backend *b, const struct store_job *job);
void job_changed(struct backend *b, const struct store_job *job);
/* Tells those who follow it, if there are any, how it is. */
void job_publish(struct backend *b, const struct store_job *job);
