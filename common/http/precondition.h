/* If-Match and If-None-Match, where an ETag is the number of a version. */
#pragma once

#include <stdint.h>

#include "common/macro.h"

struct http_request;

/* What must be there for a request to be carried out, beside a version, which
 * is above 0. */
#define HTTP_EXPECT_ABSENT INT64_C(0)
#define HTTP_EXPECT_ANY INT64_C(-1)
#define HTTP_EXPECT_PRESENT INT64_C(-2) /* any version, but it exists */

#define HTTP_PRECONDITION_RULE \
	"send If-Match with one ETag or *, or If-None-Match: *"

/* 0, or -EINVAL for anything but HTTP_PRECONDITION_RULE. */
int http_precondition(const struct http_request *req,
		      int64_t *expect) MUST_CHECK;
