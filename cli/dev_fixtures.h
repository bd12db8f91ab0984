/*
 * What `cronium dev` plays the world from: a YAML or JSON file that people
 * write. docs/dev.md says what its members are. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

#define DEV_FIXTURES_MISTAKES_MAX 50 /* that are told */

struct buf;

enum dev_stream_end {
	DEV_STREAM_ENDED,
	DEV_STREAM_OPEN, /* its writer goes on, and never writes */
	DEV_STREAM_BROKEN,
};

/* Members are borrowed from doc; NULL where the file has none. */
struct dev_fixtures {
	json_t *doc;
	const json_t *input;
	const json_t *variables, *secrets; /* objects */
	const json_t *condition;           /* a boolean */
	const json_t *context;             /* an object */
	const json_t *input_stream;        /* an array */
	enum dev_stream_end input_stream_end;
	const json_t *tools; /* an array of objects */
	const json_t *vars_read, *vars_write, *tools_allowed;
	const json_t *expect; /* an object */
	bool read_only;
};

/*
 * name decides between YAML and JSON; an empty text is no fixtures. 0; -EINVAL
 * with a line in *mistakes for each, which starts with its place; -ENOMEM.
 */
int dev_fixtures_parse(struct dev_fixtures *out, const char *name,
		       const void *text, size_t len,
		       struct buf *mistakes) MUST_CHECK;
void dev_fixtures_deinit(struct dev_fixtures *f);
