/* The schema of the SQLite database, in numbered steps. */
#pragma once

#include "common/macro.h"

struct db;
struct store_config;

/* Brings the schema up to date, each step in a transaction. 0 or negative
 * errno with db->message; -EPROTO for a database of a newer Cronium. */
int schema_migrate(struct db *db, const struct store_config *config) MUST_CHECK;

/*
 * Checks that the vault's key is the one that secrets were encrypted with,
 * against a sealed value that is kept for this. Where no value is encrypted,
 * a new key takes over. 0; -EKEYREJECTED or another negative errno with
 * db->message.
 */
int schema_check_key(struct db *db) MUST_CHECK;
