/*
 * What all calls about variables have in common. Administrators
 * (/v1/variables) and executions (/v1/runtime/variables) have the same
 * handlers; an execution sees and does what its token lets it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/http/exchange.h"

struct api_call;
struct store_variable;

bool api_is_execution(const struct api_call *call);

typedef bool api_variable_may_fn(const struct api_call *call, const char *key);
api_variable_may_fn api_variable_may_read, api_variable_may_write;

/* Whether it may use variables at all. */
bool api_variable_in_scope(const struct api_call *call);

/* The key of the path, if it is one and the caller may; NULL: answered, and
 * audited as action. */
const char *api_variable_key(struct api_call *call, api_variable_may_fn *may,
			     const char *action);

/* Of a reply; room is left for one more. */
struct api_variable_headers {
	struct http_header items[4];
	size_t n;
	char etag[32];
};

void api_variable_headers_set(struct api_variable_headers *h,
			      const struct store_variable *v);
