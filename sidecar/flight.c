#include "sidecar/flight.h"

#include <string.h>
#include <uthash.h>

struct flight {
	UT_hash_handle hh;
	TAILQ_HEAD(, flight_waiter) waiters;
	bool detached;
	char key[];
};

struct flight *flight_find(const struct flight_table *t, const char *key)
{
	struct flight *f;

	HASH_FIND_STR(t->flights, key, f);
	return f;
}

struct flight *flight_new(struct flight_table *t, const char *key)
{
	size_t n = strlen(key);
	struct flight *f = calloc(1, sizeof(*f) + n + 1);

	if (!f)
		return NULL;
	memcpy(f->key, key, n);
	TAILQ_INIT(&f->waiters);
	HASH_ADD_STR(t->flights, key, f);
	if (!f->hh.tbl) {
		free(f);
		return NULL;
	}
	return f;
}

const char *flight_key(const struct flight *f)
{
	return f->key;
}

void flight_join(struct flight *f, struct flight_waiter *w)
{
	w->flight = f;
	TAILQ_INSERT_TAIL(&f->waiters, w, link);
}

void flight_leave(struct flight_waiter *w)
{
	if (!w->flight)
		return;
	TAILQ_REMOVE(&w->flight->waiters, w, link);
	w->flight = NULL;
}

void flight_detach(struct flight_table *t, const char *key)
{
	struct flight *f = flight_find(t, key);

	if (!f)
		return;
	HASH_DEL(t->flights, f);
	f->detached = true;
}

void flight_detach_all(struct flight_table *t)
{
	struct flight *f, *next;

	HASH_ITER(hh, t->flights, f, next)
	{
		HASH_DEL(t->flights, f);
		f->detached = true;
	}
}

bool flight_is_current(const struct flight *f)
{
	return !f->detached;
}

struct flight_waiter *flight_next(struct flight *f)
{
	struct flight_waiter *w = TAILQ_FIRST(&f->waiters);

	if (w)
		flight_leave(w);
	return w;
}

void flight_free(struct flight_table *t, struct flight *f)
{
	if (!f)
		return;
	if (!f->detached)
		HASH_DEL(t->flights, f);
	free(f);
}
