#include "backend-client/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALL_REPLY_HEADERS_FIRST 16

struct backend_call *call_new(void)
{
	return calloc(1, sizeof(struct backend_call));
}

void call_free(struct backend_call *call)
{
	if (!call)
		return;
	call_clear_reply(call);
	buf_deinit_secret(&call->request);
	buf_deinit_secret(&call->reply);
	free(call->reply_headers);
	free(call->reply_rcbufs);
	free(call);
}

static void call_recycle_buf(struct buf *b)
{
	buf_clear(b);
	if (b->cap > CALL_KEEP_BUFFER_BYTES)
		buf_deinit(b);
}

void call_recycle(struct backend_call *call)
{
	struct backend_header *headers = call->reply_headers;
	nghttp2_rcbuf **rcbufs = call->reply_rcbufs;
	size_t cap = call->cap_reply_headers;
	struct buf request, reply;

	call_clear_reply(call);
	call_recycle_buf(&call->request);
	call_recycle_buf(&call->reply);
	request = call->request;
	reply = call->reply;
	memset(call, 0, sizeof(*call));
	call->request = request;
	call->reply = reply;
	call->reply_headers = headers;
	call->reply_rcbufs = rcbufs;
	call->cap_reply_headers = cap;
}

/* --- request ------------------------------------------------------------- */

static size_t call_request_bytes(const struct backend_request *req)
{
	size_t n = req->n_headers * sizeof(nghttp2_nv) + strlen(req->method) +
		   strlen(req->path) + (req->body_borrowed ? 0 : req->body_len);

	for (size_t i = 0; i < req->n_headers; i++)
		n += strlen(req->headers[i].name) +
		     strlen(req->headers[i].value);
	return n;
}

/* There is room: call_set_request() reserved it. */
static uint8_t *call_copy(struct buf *b, const void *data, size_t n)
{
	uint8_t *at = b->data + b->len;

	if (n)
		memcpy(at, data, n);
	b->len += n;
	return at;
}

static void call_copy_header(struct backend_call *call, nghttp2_nv *nv,
			     const struct backend_header *h)
{
	nv->namelen = strlen(h->name);
	nv->valuelen = strlen(h->value);
	nv->name = call_copy(&call->request, h->name, nv->namelen);
	nv->value = call_copy(&call->request, h->value, nv->valuelen);
	/* What differs from call to call would push out of HPACK's table what
	 * does not. */
	nv->flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
		    NGHTTP2_NV_FLAG_NO_COPY_VALUE | NGHTTP2_NV_FLAG_NO_INDEX;
	if (nv->namelen == 13 && !memcmp(nv->name, "authorization", 13))
		call->has_authorization = true;
}

int call_set_request(struct backend_call *call,
		     const struct backend_request *req)
{
	struct buf *b = &call->request;
	nghttp2_nv *nva;
	int r;

	if (req->n_headers > CALL_REQUEST_HEADERS_MAX)
		return -EINVAL;
	buf_clear(b);
	r = buf_reserve(b, call_request_bytes(req));
	if (r < 0)
		return r;
	nva = (nghttp2_nv *)b->data;
	b->len = req->n_headers * sizeof(*nva);
	call->n_headers = req->n_headers;
	for (size_t i = 0; i < req->n_headers; i++)
		call_copy_header(call, &nva[i], &req->headers[i]);
	call->method_len = strlen(req->method);
	call->method = (char *)call_copy(b, req->method, call->method_len);
	call->path_len = strlen(req->path);
	call->path = (char *)call_copy(b, req->path, call->path_len);
	call->body = req->body_borrowed
			     ? req->body
			     : call_copy(b, req->body, req->body_len);
	call->body_len = req->body_len;
	call->retry = req->retry;
	call->attempt_timeout_ms = req->attempt_timeout_ms;
	return 0;
}

const nghttp2_nv *call_headers(const struct backend_call *call)
{
	return (const nghttp2_nv *)call->request.data;
}

/* --- reply --------------------------------------------------------------- */

static int call_grow_reply_headers(struct backend_call *call)
{
	size_t cap = MAX(call->cap_reply_headers * 2, CALL_REPLY_HEADERS_FIRST);
	void *p;

	p = realloc(call->reply_headers, cap * sizeof(*call->reply_headers));
	if (!p)
		return -ENOMEM;
	call->reply_headers = p;
	p = realloc(call->reply_rcbufs, 2 * cap * sizeof(*call->reply_rcbufs));
	if (!p)
		return -ENOMEM;
	call->reply_rcbufs = p;
	call->cap_reply_headers = cap;
	return 0;
}

int call_add_reply_header(struct backend_call *call, nghttp2_rcbuf *name,
			  nghttp2_rcbuf *value)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
	nghttp2_vec v = nghttp2_rcbuf_get_buf(value);
	size_t i = call->n_reply_headers;

	if (call->headers_done)
		return 0;
	if (n.base[0] == ':') {
		if (n.len == 7 && !memcmp(n.base, ":status", 7))
			call->status = atoi((const char *)v.base);
		return 0;
	}
	if (i == CALL_RESPONSE_HEADERS_MAX)
		return -E2BIG;
	if (i == call->cap_reply_headers && call_grow_reply_headers(call) < 0)
		return -ENOMEM;
	nghttp2_rcbuf_incref(name);
	nghttp2_rcbuf_incref(value);
	call->reply_rcbufs[2 * i] = name;
	call->reply_rcbufs[2 * i + 1] = value;
	call->reply_headers[i] = (struct backend_header){
		.name = (const char *)n.base,
		.value = (const char *)v.base,
	};
	call->n_reply_headers++;
	return 0;
}

void call_clear_reply(struct backend_call *call)
{
	for (size_t i = 0; i < 2 * call->n_reply_headers; i++)
		nghttp2_rcbuf_decref(call->reply_rcbufs[i]);
	call->n_reply_headers = 0;
	call->headers_done = false;
	call->status = 0;
	buf_clear(&call->reply);
}

void call_set_error(struct backend_call *call, enum backend_error error,
		    const char *detail)
{
	call->error = error;
	if (detail == call->detail)
		return;
	snprintf(call->detail, sizeof(call->detail), "%s",
		 detail ? detail : backend_strerror(error));
}

void call_response(const struct backend_call *call,
		   struct backend_response *out)
{
	*out = (struct backend_response){
		.error = call->error,
		.detail = call->error ? call->detail : NULL,
		.attempts = call->attempts,
	};
	if (call->error)
		return;
	out->status = call->status;
	out->headers = call->reply_headers;
	out->n_headers = call->n_reply_headers;
	if (call->ops.on_data)
		return;
	out->body = call->reply.data;
	out->body_len = call->reply.len;
}
