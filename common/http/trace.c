#include "common/http/trace.h"

#include <string.h>

#include "common/http/server.h"

void http_trace_id_or(const struct http_request *req, const char *id,
		      char out[TRACE_BYTES])
{
	const char *given = http_request_header(req, "traceparent");
	const char *found = given ? trace_find(given) : NULL;

	if (!found)
		found = id;
	if (!found) {
		trace_new(out);
		return;
	}
	memcpy(out, found, TRACE_BYTES - 1);
	out[TRACE_BYTES - 1] = '\0';
}

void http_trace_id(const struct http_request *req, char out[TRACE_BYTES])
{
	http_trace_id_or(req, NULL, out);
}
