/*
 * Where the store is: sqlite:PATH, or postgresql://… as libpq has it, with one
 * parameter of our own: schema=NAME, so that several stores share a database.
 */
#pragma once

#include <stddef.h>

#include "common/macro.h"

#define STORE_SCHEMA_MAX_BYTES 64 /* PostgreSQL's limit of a name, and NUL */

/* Where a connection has led to: one of several hosts, its name looked up. */
struct store_place {
	char host[256], address[64], port[8]; /* address: "" of a socket */
};

enum store_kind { STORE_SQLITE, STORE_POSTGRES };

struct store_url {
	enum store_kind kind;
	char *where; /* the path; the URL without our parameter: a secret */
	char *name;  /* for people: without a password */
	char schema[STORE_SCHEMA_MAX_BYTES]; /* "": that of the connection */
};

/* url may be NULL: DATA/cronium.db. 0, or negative errno with a sentence that
 * does not give the URL away. */
int store_url_parse(struct store_url *out, const char *url,
		    const char *data_dir, char *err,
		    size_t err_size) MUST_CHECK;
void store_url_deinit(struct store_url *url);
