/* SQLite: a file of this machine. */
#pragma once

#include "backend/db.h"

extern const struct db_driver db_sqlite;

/* Opens a connection, making the file (0600) where it is missing. path and
 * vault outlive it. On failure the message is set, and db_close() is still to
 * be called. */
int db_sqlite_open(struct db *db, const char *path,
		   const struct vault *vault) MUST_CHECK;
