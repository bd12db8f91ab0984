/*
 * The seats of a gateway by execution, and the executions that have ended a
 * while ago: their good tokens are told so, which takes their keys.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/macro.h"

struct auth;
struct execution;
struct http_account;
struct seat;

#define SEATS_MAX 1024
#define SEATS_ENDED_MAX 256 /* remembered; the oldest go */
#define SEAT_EXECUTION_BYTES 128

enum seat_place {
	SEAT_PLACE_WAITING, /* for its assignment */
	SEAT_PLACE_OPEN,    /* found by its execution */
	SEAT_PLACE_ENDED,   /* its tokens are refused; it drains, or is gone */
};

/* What the gateway knows of a seat. */
struct seat_entry {
	TAILQ_ENTRY(seat_entry) link;
	UT_hash_handle hh; /* OPEN, by execution */
	enum seat_place place;
	struct seat *seat;
	struct http_account *account;
	bool gone;
	void *owner;
	char execution[SEAT_EXECUTION_BYTES];
};

struct seat_table;

int seat_table_new(struct seat_table **out) MUST_CHECK;
/* With every seat in it. */
void seat_table_free(struct seat_table *t);

/* A new entry, whose seat is yet to be set. -EBUSY at SEATS_MAX, or -ENOMEM. */
int seat_table_add(struct seat_table *t, struct seat_entry **out) MUST_CHECK;
/* It was assigned: found from now on. One of the same execution before it
 * ends, and its tokens with it; -EINVAL where the execution's name is too long,
 * or -ENOMEM. */
int seat_table_open(struct seat_table *t, struct seat_entry *e) MUST_CHECK;
/* Its tokens are AUTH_E_REVOKED from now on. Again is fine. */
void seat_table_end(struct seat_table *t, struct seat_entry *e);
/* Frees it, and its seat. */
void seat_table_remove(struct seat_table *t, struct seat_entry *e);

/* NULL when there is none. */
struct seat_entry *seat_table_find(const struct seat_table *t,
				   const char *execution);
struct auth *seat_table_find_ended(const struct seat_table *t,
				   const char *execution);
struct seat_entry *seat_table_first(const struct seat_table *t);
size_t seat_table_count(const struct seat_table *t);
