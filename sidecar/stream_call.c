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

/* 1 and 0 for what it says, and where it says nothing; -1: answered. */
static int query_end(struct request *req)
{
	char text[QUERY_BYTES];
	int found = http_query_get(req->http->query, "end", text, sizeof(text));

	if (!found || (found > 0 && !strcmp(text, "0")))
		return 0;
	if (found > 0 && !strcmp(text, "1"))
		return 1;
	reply_problem(&req->reply, 400, "invalid_query",
		      "end has to be 1, where the stream ends with this body, "
		      "or 0");
	return -1;
}

/* An Idempotency-Key of the script stands for one append, so that the body has
 * to be one; numbers are the better way. */
static bool take_key(struct request *req, struct stream_options *out)
{
	const char *key = http_request_header(req->http, "idempotency-key");
	int64_t length = req->http->has_body ? req->http->content_length : 0;

	*out->key = '\0';
	if (!key || !*key || out->numbered)
		return true;
	if (strlen(key) >= sizeof(out->key))
		reply_problem(&req->reply, 400, "invalid_idempotency_key",
			      "an Idempotency-Key has at most %d characters",
			      FORWARD_IDEMPOTENCY_KEY_BYTES);
	else if (length < 0)
		reply_problem(&req->reply, 411, "length_required",
			      "a body with an Idempotency-Key needs a "
			      "Content-Length; to stream it, number its "
			      "records with from instead");
	else if (length > STREAM_APPEND_BYTES)
		reply_problem(&req->reply, 413, "too_large",
			      "a body with an Idempotency-Key has at most %d "
			      "bytes; number its records with from instead",
			      STREAM_APPEND_BYTES);
	else
		strcpy(out->key, key);
	return req->reply.ex;
}

static bool wants_acks(const struct http_request *http)
{
	const char *accept = http_request_header(http, "accept");

	return accept && strstr(accept, STREAM_CONTENT_TYPE);
}

bool stream_options_read(struct request *req, struct stream_options *out)
{
	int numbered, end;

	out->from = 0;
	numbered = stream_query_from(req, &out->from);
	if (numbered < 0)
		return false;
	end = query_end(req);
	if (end < 0)
		return false;
	out->numbered = numbered;
	out->end = end;
	out->acks = wants_acks(req->http);
	return take_key(req, out);
}

void stream_headers_fill(struct stream_headers *h, const char *trace,
			 const char *key, bool has_body)
{
	h->n = 0;
	trace_parent(trace, h->traceparent);
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
