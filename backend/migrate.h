/*
 * The schema of the store's database, in numbered steps: step n makes schema n
 * of schema n - 1. migrations/DRIVER/NNNN.sql, compiled in by embed.py. Steps
 * that were released never change; add one, with the same number for every
 * driver. States are the numbers of enum job_state.
 *
 * What changes often is apart from what is big: databases write whole rows.
 */
#pragma once

#include "common/macro.h"

struct db;

struct migration {
	int version;
	const char *sql;
};

/* In their order; {0} ends them. */
extern const struct migration migrations_sqlite[], migrations_postgres[];

/* Brings the schema up to date, each step in a transaction. 0 or negative
 * errno with db->message; -EPROTO for a database of a newer Cronium. */
int migrate(struct db *db) MUST_CHECK;
