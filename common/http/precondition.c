#include "common/http/precondition.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/server.h"

static bool etag_parse(const char *s, int64_t *version)
{
	char *end;

	if (*s != '"' || s[1] < '0' || s[1] > '9')
		return false;
	errno = 0;
	*version = strtoll(s + 1, &end, 10);
	return !errno && *version > 0 && !strcmp(end, "\"");
}

int http_precondition(const struct http_request *req, int64_t *expect)
{
	const char *match = http_request_header(req, "if-match");
	const char *none = http_request_header(req, "if-none-match");

	*expect = HTTP_EXPECT_ANY;
	if (match && !none && !strcmp(match, "*"))
		*expect = HTTP_EXPECT_PRESENT;
	else if (none && !match && !strcmp(none, "*"))
		*expect = HTTP_EXPECT_ABSENT;
	else if (none || (match && !etag_parse(match, expect)))
		return -EINVAL;
	return 0;
}
