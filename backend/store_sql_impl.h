/* What store_sql.c and store_sql_batch.c share. */
#pragma once

#include "backend/store_sql.h"
#include "backend/store_url.h"

struct sql_store;

/* A thread with its connection and the calls that wait for it. */
struct sql_worker {
	struct sql_store *store;
	struct db db;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct store_calls queue; /* under lock */
	bool closing;             /* under lock */
};

struct sql_store {
	struct store base;
	struct store_url url;
	struct sql_worker writer, reader;
};

extern sql_op_fn *const sql_ops[STORE_OPS];

/* Carry the calls out and finish them, in the writer's and in the reader's
 * thread. */
void sql_write_batch(struct sql_store *s, struct store_calls *calls);
void sql_read_batch(struct sql_store *s, struct store_calls *calls);
/* Tells the loop what this connection knows of the database's server. */
void sql_note_server(struct sql_store *s, const struct db *db);
