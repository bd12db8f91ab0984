#include "sidecar/proxy_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/http/head.h"

#define PROXY_HEAD_HTTP_PORT 80

static int proxy_head_refuse(int status, const char **why, const char *sentence)
{
	*why = sentence;
	return status;
}

/* For this connection only, not for the server (RFC 9110, 7.6.1); Expect stays,
 * for the server's 100 comes through. */
static bool proxy_head_is_ours(const char *name)
{
	static const char *const names[] = {
		"connection",
		"content-length",
		"host",
		"keep-alive",
		"proxy-authenticate",
		"proxy-connection",
		"proxy-authorization",
		"te",
		"trailer",
		"transfer-encoding",
		"upgrade",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/* Whether a Connection field names it. */
static bool proxy_head_is_listed(const struct head *h, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < h->n_headers; i++) {
		const char *s = h->headers[i].value;

		if (strcmp(h->headers[i].name, "connection") != 0)
			continue;
		while (*s) {
			size_t n = strcspn(s, ", \t");

			if (n == len && !strncasecmp(s, name, n))
				return true;
			s += n;
			s += strspn(s, ", \t");
		}
	}
	return false;
}

static int proxy_head_add_fields(struct proxy_head *p, const struct head *h)
{
	int r = 0;

	for (size_t i = 0; !r && i < h->n_headers; i++)
		if (!proxy_head_is_ours(h->headers[i].name) &&
		    !proxy_head_is_listed(h, h->headers[i].name))
			r = buf_printf(&p->forward, "%s: %s\r\n",
				       h->headers[i].name, h->headers[i].value);
	return r;
}

static int proxy_head_forward(struct proxy_head *p, const struct head *h,
			      const struct head_proxy *to, bool is_v6)
{
	const char *mark = *h->query ? "?" : "";
	struct buf *b = &p->forward;
	int r;

	r = buf_printf(b, "%s %s%s%s HTTP/1.%d\r\nhost: %s%s%s", to->method,
		       h->path, mark, h->query, !h->http_1_0, is_v6 ? "[" : "",
		       p->host, is_v6 ? "]" : "");
	if (!r && p->port != PROXY_HEAD_HTTP_PORT)
		r = buf_printf(b, ":%u", p->port);
	if (!r)
		r = buf_append_str(b, "\r\n");
	if (!r)
		r = proxy_head_add_fields(p, h);
	if (!r && h->chunked)
		r = buf_append_str(b, "transfer-encoding: chunked\r\n");
	else if (!r && h->content_length >= 0)
		r = buf_printf(b, "content-length: %lld\r\n",
			       (long long)h->content_length);
	return r ? r : buf_append_str(b, "connection: close\r\n\r\n");
}

static int proxy_head_read_target(struct proxy_head *p,
				  const struct head_proxy *to,
				  enum net_host_kind *kind, const char **why)
{
	p->port = to->connect ? 0 : PROXY_HEAD_HTTP_PORT;
	if (net_host_split(to->authority, strlen(to->authority), p->host, kind,
			   &p->port) < 0)
		return proxy_head_refuse(
			400, why,
			"the target's host must be a name, an IPv4 address of "
			"four numbers or an IPv6 address in brackets, its port "
			"1 to 65535");
	if (!p->port)
		return proxy_head_refuse(400, why, "CONNECT takes host:port");
	return 0;
}

int proxy_head_parse(struct proxy_head *p, char *text, size_t len,
		     uint32_t lines, const char **why)
{
	struct http_header fields[PROXY_HEAD_MAX_FIELDS];
	struct head h = { .headers = fields, .n_headers = lines - 1 };
	enum net_host_kind kind;
	struct head_proxy to;
	int r;

	if (h.n_headers > PROXY_HEAD_MAX_FIELDS)
		return proxy_head_refuse(431, why, "there are too many fields");
	r = head_parse_proxy(&h, &to, text, len, why);
	if (!r)
		r = proxy_head_read_target(p, &to, &kind, why);
	if (r)
		return r;
	p->connect = to.connect;
	p->head = h.method == HTTP_HEAD;
	p->chunked = h.chunked;
	p->body_bytes = h.content_length > 0 ? (uint64_t)h.content_length : 0;
	if (!p->connect)
		return proxy_head_forward(p, &h, &to, kind == NET_HOST_IPV6);
	if (p->chunked || p->body_bytes)
		return proxy_head_refuse(400, why, "CONNECT has no body");
	return 0;
}
