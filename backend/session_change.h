/*
 * What follows from a change of a session, once it is committed: a log line,
 * an EVENT to every orchestrator, the end of what runs, the queue, those who
 * follow one of its jobs.
 */
#pragma once

struct backend;
struct store_session;

void session_made(struct backend *b, const struct store_session *s);
/* It was paused, resumed or ended: its state says which. */
void session_changed(struct backend *b, const struct store_session *s);
