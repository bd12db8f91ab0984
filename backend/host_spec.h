/*
 * A host as people give it, `PUT /v1/hosts/{name}`: takes JSON, says everything
 * that is wrong at once. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "backend/store_record.h"
#include "common/buf.h"
#include "common/macro.h"

#define HOST_NAME_MAX_BYTES 64
#define HOST_USER_MAX_BYTES 64
#define HOST_PORT_DEFAULT 22

enum {
	HOST_SPEC_E_INVALID = 1, /* violations says why */
};

/* 1 to HOST_NAME_MAX_BYTES letters, digits, . _ -, the first no . or -. */
bool host_name_valid(const char *name);

/*
 * members: an object; name: that of the path. 0 with *out, whose strings are
 * those of name and members; HOST_SPEC_E_INVALID with sentences "member: what
 * is wrong" joined by "; " appended to violations, or -ENOMEM. name and
 * created_ms may be there, so that what was read can be put back.
 */
int host_spec_parse(const char *name, const json_t *members,
		    struct store_host *out, struct buf *violations) MUST_CHECK;

/* As the API and ASSIGN have it. A new reference, or NULL. */
json_t *host_json(const struct store_host *h);
