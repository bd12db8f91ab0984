/* Whether the master key is the one that the database was written with. */
#pragma once

#include "common/macro.h"

struct db;

/*
 * Checks that the vault's key is the one that secrets were encrypted with,
 * against a sealed value that is kept for this. Where no value is encrypted,
 * a new key takes over. 0; -EKEYREJECTED or another negative errno with
 * db->message.
 */
int sql_key_check(struct db *db) MUST_CHECK;
