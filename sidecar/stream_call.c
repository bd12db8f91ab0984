#include "sidecar/stream_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/router.h"
#include "sidecar/request.h"

#define QUERY_BYTES 24

bool stream_number_parse(const char *text, uint64_t *out)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' ||
		    n > (INT64_MAX - (uint64_t)(*text - '0')) / 10)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*out = n;
	return true;
}

int stream_query_from(struct request *req, uint64_t *from)
{
	char text[QUERY_BYTES];
	int found = http_query_get(req->http->query, "from", text,
				   sizeof(text));

	if (!found || (found > 0 && stream_number_parse(text, from)))
		return found;
	reply_problem(&req->reply, 400, "invalid_query",
		      "from has to be the number of a record, 0 or more");
	return -1;
}

int stream_query_end(struct request *req, bool *end)
{
	char text[QUERY_BYTES];
	int found = http_query_get(req->http->query, "end", text, sizeof(text));

	*end = found > 0 && !strcmp(text, "1");
	if (!found || *end || (found > 0 && !strcmp(text, "0")))
		return found;
	reply_problem(&req->reply, 400, "invalid_query",
		      "end has to be 1, where the stream ends with this body, "
		      "or 0");
	return -1;
}

void stream_headers_fill(struct stream_headers *h, const char *trace,
			 const char *key, bool has_body)
{
	h->n = 0;
	http_traceparent(trace, h->traceparent);
	h->items[h->n++] = (struct backend_header){ "traceparent",
						    h->traceparent };
	if (key)
		h->items[h->n++] = (struct backend_header){ "idempotency-key",
							    key };
	if (has_body)
		h->items[h->n++] = (struct backend_header){
			"content-type", STREAM_CONTENT_TYPE
		};
}
