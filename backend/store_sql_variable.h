/* Variables as they are now, for what reads them beside
 * store_sql_variable.c. */
#pragma once

#include "backend/store_sql.h"

/* 0 with the plain value where it is asked for; STORE_E_NOT_FOUND, with
 * v->version 0; or negative errno. */
int sql_variable_load(struct db *db, struct store_call *call, const char *key,
		      bool with_value, struct store_variable *v) MUST_CHECK;
/* Opens the value that a secret had with this version, into the arena. */
int sql_variable_open(struct db *db, struct store_call *call, const char *key,
		      int64_t version, const struct store_blob *sealed,
		      struct store_blob *out) MUST_CHECK;
