/*
 * Writes on behalf of a script: refused once its execution has ended, and
 * repeated from memory where they carry an Idempotency-Key.
 */
#pragma once

#include "backend/store_sql_job.h"
#include "backend/vault.h"

struct sql_writer {
	const struct store_writer *from;
	struct sql_job job;                 /* when it is an execution */
	uint8_t digest[VAULT_DIGEST_BYTES]; /* of the request */
};

/*
 * what names the request but for its data. 0 to go on; 0 with
 * result->repeated and the first result in result->variable (without its
 * key) when this was done before; STORE_E_NOT_FOUND, STORE_E_ENDED,
 * STORE_E_KEY_REUSED; negative errno.
 */
int sql_writer_begin(struct db *db, struct store_call *call,
		     const struct store_writer *from, const char *what,
		     const void *data, size_t len,
		     struct sql_writer *out) MUST_CHECK;
/* Notes the success, with result->variable, for a repeat. */
int sql_writer_end(struct db *db, struct store_call *call,
		   const struct sql_writer *w) MUST_CHECK;
