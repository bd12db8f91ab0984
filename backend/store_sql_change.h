/* The history of variables: the last STORE_CHANGES_MAX writes. */
#pragma once

#include "backend/store_sql.h"

/* Notes the write that gave v its version, and forgets what is too old. stored:
 * the value as it is in the database, sealed where v is a secret; NULL: it was
 * deleted. */
int sql_change_add(struct db *db, const struct store_variable *v,
		   const struct store_blob *stored) MUST_CHECK;
/* The variable becomes a secret: forgets the plain values that it had. */
int sql_change_forget(struct db *db, const char *key) MUST_CHECK;
