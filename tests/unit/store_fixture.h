/*
 * A store driven synchronously: for store tests. It is a file in a temporary
 * directory; where CRONIUM_TEST_STORE is a postgresql:// URL, a schema of its
 * own in that database.
 */
#pragma once

#include <stdbool.h>

#include "backend/arena.h"
#include "backend/store.h"
#include "backend/vault.h"

struct event_base;

struct store_fixture {
	char dir[64];
	char url[512], schema[64]; /* of PostgreSQL; "" */
	struct event_base *base;
	struct vault *vault;
	struct store *store;
	struct arena arena; /* what replies point to */
};

/* A completion that was waited for; the result is a deep copy. */
struct reply {
	struct store_fixture *fixture;
	bool done;
	int r;
	struct store_result result;
	void (*op)(void); /* the operation: says what to copy of the union */
	char *log;        /* store_log_read(): "o:…" "e:…" "n:…" joined */
};

/* cmocka set-up and tear-down: *state is the fixture. */
int store_fixture_setup(void **state);
int store_fixture_teardown(void **state);

bool store_fixture_is_postgres(void);

/* The parts of set-up. */
void store_fixture_open(struct store_fixture *f);
int store_fixture_try_open(struct store_fixture *f, char *err, size_t err_size);
void store_fixture_close(struct store_fixture *f);

/* Another store on the same database: of PostgreSQL alone. */
void store_fixture_open_second(const struct store_fixture *f,
			       struct store_fixture *second);
void store_fixture_close_second(struct store_fixture *second);

/* Runs SQL beside the store, in its schema; the first column of the first row
 * as a number, 0 where there is none. */
int64_t store_fixture_sql(struct store_fixture *f, const char *sql);
/* Whether the database holds these bytes anywhere. */
bool store_fixture_holds(struct store_fixture *f, const char *text);

struct store_done store_fixture_done(struct store_fixture *f,
				     struct reply *reply, void (*op)(void));
/* Runs the loop until the reply is there; returns its r. */
int store_fixture_wait(struct reply *reply);

/* Calls an operation with its arguments (but for the last) and waits. */
#define STORE_DONE(f, reply, op) \
	store_fixture_done(f, reply, (void (*)(void))(op))
#define STORE_WAIT(f, reply, op, ...)                                       \
	(assert_int_equal(                                                  \
		 op((f)->store, __VA_ARGS__, STORE_DONE(f, reply, op)), 0), \
	 store_fixture_wait(reply))
#define STORE_WAIT0(f, reply, op)                                       \
	(assert_int_equal(op((f)->store, STORE_DONE(f, reply, op)), 0), \
	 store_fixture_wait(reply))

#define STORE_STR(s) ((struct store_blob){ (s), strlen(s) })

/* Often used: a small job, its claim and its start. */
int submit_job(struct store_fixture *f, const char *id);
int claim_job(struct store_fixture *f, const char *execution,
	      struct reply *reply);
int start_execution(struct store_fixture *f, const char *execution,
		    int64_t epoch);
int complete_execution(struct store_fixture *f, const char *execution,
		       int64_t epoch, enum job_state state,
		       struct reply *reply);
enum job_state job_state_of(struct store_fixture *f, const char *id);

/* Puts a variable as an administrator. */
int put_variable(struct store_fixture *f, const char *key, const char *value,
		 int64_t expect, struct reply *reply);
/* The history of variables is without a gap, and tells how they are. */
void check_changes(struct store_fixture *f);
/* Its value, or NULL. */
const char *variable_value(struct store_fixture *f, const char *key);
