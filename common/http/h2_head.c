#include "common/http/h2_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/http/head.h"
#include "common/http/target.h"

#define FIELD_OVERHEAD_BYTES 32 /* RFC 9113, 6.5.2 */
#define FLOOD_FACTOR 4 /* times the limit, after which nothing is answered */
#define LENGTH_MAX_DIGITS 18

void h2_head_deinit(struct h2_head *h)
{
	buf_deinit(&h->text);
	free(h->fields);
	h->fields = NULL;
}

static void remember(struct h2_head *h, const uint8_t *name, size_t len,
		     size_t value_at)
{
	if (len == 7 && memcmp(name, ":method", 7) == 0)
		h->method = value_at;
	else if (len == 5 && memcmp(name, ":path", 5) == 0)
		h->path = value_at;
	else if (len == 10 && memcmp(name, ":authority", 10) == 0)
		h->authority = value_at;
}

int h2_head_add(struct h2_head *h, const struct http_limits *limits,
		const uint8_t *name, size_t name_len, const uint8_t *value,
		size_t value_len)
{
	size_t at = h->text.len;
	uint8_t *p;
	int r;

	h->bytes += name_len + value_len + FIELD_OVERHEAD_BYTES;
	if (h->bytes / FLOOD_FACTOR > limits->header_bytes)
		return H2_HEAD_E_FLOOD;
	if (h->bytes > limits->header_bytes)
		return H2_HEAD_E_TOO_LARGE;
	r = buf_reserve(&h->text, name_len + value_len + 2);
	if (r < 0)
		return r;
	p = h->text.data + at;
	memcpy(p, name, name_len);
	p[name_len] = '\0';
	memcpy(p + name_len + 1, value, value_len);
	p[name_len + 1 + value_len] = '\0';
	h->text.len += name_len + value_len + 2;
	if (name_len && name[0] == ':')
		remember(h, name, name_len, at + name_len + 1);
	else
		h->n_fields++;
	return 0;
}

static int refuse(int status, const char **why, const char *sentence)
{
	*why = sentence;
	return status;
}

/* Fields without the pseudo ones, pointing into text. */
static int index_fields(struct h2_head *h)
{
	char *p = (char *)h->text.data, *end = p + h->text.len;
	size_t n = 0;

	h->fields = calloc(h->n_fields + 1, sizeof(*h->fields));
	if (!h->fields)
		return -ENOMEM;
	while (p < end) {
		char *value = p + strlen(p) + 1;

		if (*p != ':')
			h->fields[n++] = (struct http_header){ p, value };
		p = value + strlen(value) + 1;
	}
	return 0;
}

static int read_fields(struct h2_head *h, struct http_request *req,
		       bool *expect_continue, const char **why)
{
	const char *authority = NULL, *value;
	size_t i;

	if (h->authority)
		authority = (char *)h->text.data + h->authority;
	for (i = 0; i < h->n_fields; i++) {
		const char *name = h->fields[i].name;

		value = h->fields[i].value;
		if (strcmp(name, "host") == 0) {
			if (authority && strcasecmp(authority, value) != 0)
				return refuse(400, why,
					      "Host is not the "
					      ":authority");
			authority = value;
		} else if (strcmp(name, "content-length") == 0) {
			if (strlen(value) > LENGTH_MAX_DIGITS)
				return refuse(413, why,
					      "Content-Length is "
					      "too large");
			req->content_length = strtoll(value, NULL, 10);
		} else if (strcmp(name, "expect") == 0) {
			if (strcasecmp(value, "100-continue") != 0)
				return refuse(417, why,
					      "the only expectation "
					      "met is "
					      "'100-continue'");
			*expect_continue = true;
		}
	}
	if (!authority || !target_authority_valid(authority, strlen(authority)))
		return refuse(400, why,
			      "the authority is missing or "
			      "malformed");
	return 0;
}

static int read_target(struct h2_head *h, struct http_request *req,
		       const char **why)
{
	char *path = (char *)h->text.data + h->path, *query;

	if (req->method == HTTP_OPTIONS && strcmp(path, "*") == 0) {
		req->path = path;
		return 0;
	}
	if (!target_valid(path, strlen(path)))
		return refuse(400, why, "the request target is malformed");
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	req->path = path;
	req->query = query ? query : "";
	return 0;
}

int h2_head_read(struct h2_head *h, const struct http_limits *limits,
		 struct http_request *req, bool *expect_continue,
		 const char **why)
{
	const char *method = (char *)h->text.data + h->method;
	int r;

	req->method = HTTP_OTHER;
	req->content_length = -1;
	req->path = "/";
	req->query = "";
	if (h->bytes > limits->header_bytes)
		return refuse(431, why, "the headers are too large");
	if (h->n_fields > limits->header_count)
		return refuse(431, why, "there are too many headers");
	if (!h->method)
		return refuse(400, why, "the method is missing");
	req->method = head_method(method, strlen(method));
	if (req->method == HTTP_OTHER)
		return refuse(501, why, "the method is not implemented");
	if (!h->path)
		return refuse(400, why, "the path is missing");
	r = index_fields(h);
	if (r < 0)
		return r;
	req->headers = h->fields;
	req->n_headers = h->n_fields;
	r = read_fields(h, req, expect_continue, why);
	return r ? r : read_target(h, req, why);
}
