/*
 * Single flight: of several requests that miss the same key at the same time
 * one asks the backend, and all get its answer.
 *
 * A write to the key detaches the flight under way: those who wait already
 * get its answer, which may be older than the write, but it is not cached, and
 * who comes later starts a new one. So a script always reads its own writes.
 *
 * Pure: no sockets, no clock. flight_waiter is embedded by value.
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>

struct flight;

struct flight_waiter {
	TAILQ_ENTRY(flight_waiter) link;
	struct flight *flight;
};

/* Zero-initialised is empty. */
struct flight_table {
	struct flight *flights;
};

/* The flight under way for key; NULL when there is none. */
struct flight *flight_find(const struct flight_table *t, const char *key);
/* NULL on ENOMEM. */
struct flight *flight_new(struct flight_table *t, const char *key);
const char *flight_key(const struct flight *f);

void flight_join(struct flight *f, struct flight_waiter *w);
void flight_leave(struct flight_waiter *w);

/* A write to key happened. */
void flight_detach(struct flight_table *t, const char *key);
/* Writes happened, nobody knows to which keys. */
void flight_detach_all(struct flight_table *t);
/* False once it was detached: the answer may be out of date. */
bool flight_is_current(const struct flight *f);

/* The next waiter, removed; NULL when all were told. */
struct flight_waiter *flight_next(struct flight *f);
/* Without waiters. */
void flight_free(struct flight_table *t, struct flight *f);
