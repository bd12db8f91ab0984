#include "common/http/head.h"

#include <endian.h>
#include <string.h>
#include <strings.h>

#include "common/http/fields.h"
#include "common/http/target.h"

#define METHOD_MAX_BYTES 32
#define LENGTH_MAX_DIGITS 18 /* fits int64_t */

/* --- step one: where it ends -------------------------------------------- */

static ssize_t scan_fail(const char **why, const char *sentence)
{
	*why = sentence;
	return -400;
}

/* A line ended with the '\n' at i. True when it was the empty one that ends
 * the head. */
static bool scan_line(struct head_scan *s, size_t i)
{
	bool empty = i - 1 == s->line;

	s->after_cr = false;
	s->line = i + 1;
	if (!empty)
		s->lines++;
	else if (!s->lines)
		s->start = i + 1;
	return empty && s->lines;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Past what is printable ASCII, which is most of a head, a word at a time. */
static size_t skip_plain(const uint8_t *data, size_t i, size_t end)
{
	uint64_t w;

	for (; end - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, data + i, sizeof(w));
		w = le64toh(w);
		/* Above 0x7e in the first two, below 0x20 in the last; a carry
		 * only goes to the bytes behind. */
		w = (w | (w + EACH_BYTE(0x01)) | (w - EACH_BYTE(0x20))) &
		    EACH_BYTE(0x80);
		if (w)
			return i + (size_t)__builtin_ctzll(w) / 8;
	}
	return i;
}

ssize_t head_scan(struct head_scan *s, const uint8_t *data, size_t len,
		  size_t max_bytes, const char **why)
{
	size_t end = MIN(len, max_bytes);

	for (; s->pos < end; s->pos++) {
		uint8_t b;

		if (!s->after_cr && s->pos > s->line)
			s->pos = skip_plain(data, s->pos, end);
		if (s->pos == end)
			break;
		b = data[s->pos];
		if (s->after_cr != (b == '\n'))
			return scan_fail(why, "lines must end in CR LF");
		if (b == '\n') {
			if (scan_line(s, s->pos))
				return (ssize_t)++s->pos;
			if (s->start > 2)
				return scan_fail(why, "more than one empty "
						      "line before the "
						      "request");
			continue;
		}
		if (b == '\r')
			s->after_cr = true;
		else if ((b < 0x20 && b != '\t') || b == 0x7f)
			return scan_fail(why, "control characters are not "
					      "allowed in a request's head");
		else if (s->pos == s->line && (b == ' ' || b == '\t'))
			return scan_fail(why, "a line of the head must not "
					      "start with white space");
	}
	if (len < max_bytes)
		return 0;
	*why = "the request line and headers are too large";
	return -431;
}

/* --- step two: the request line ----------------------------------------- */

static int refuse(int status, const char **why, const char *sentence)
{
	*why = sentence;
	return status;
}

enum http_method head_method(const char *s, size_t len)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
		[HTTP_DELETE] = "DELETE",   [HTTP_PATCH] = "PATCH",
		[HTTP_OPTIONS] = "OPTIONS",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && memcmp(names[i], s, len) == 0)
			return (enum http_method)i;
	return HTTP_OTHER;
}

static bool is_token(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] <= 0x20 ||
		    (unsigned char)s[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", s[i]))
			return false;
	return len > 0;
}

struct request_line {
	const char *target;
	size_t target_len;
};

/* METHOD SP target SP version CRLF, each separated by one space; of a method
 * that is not ours h->method is HTTP_OTHER. */
static int parse_request_line(struct head *h, struct request_line *line,
			      const char *text, size_t len, const char **why)
{
	const char *end = memchr(text, '\r', len);
	const char *sp = memchr(text, ' ', (size_t)(end - text));
	const char *version;
	size_t n = sp ? (size_t)(sp - text) : 0;

	if (!is_token(text, n))
		return refuse(400, why, "the request line is malformed");
	if (n > METHOD_MAX_BYTES)
		return refuse(501, why, "the method is not implemented");
	h->method = head_method(text, n);
	line->target = sp + 1;
	version = memchr(line->target, ' ', (size_t)(end - line->target));
	if (!version || version == line->target)
		return refuse(400, why, "the request line is malformed");
	line->target_len = (size_t)(version - line->target);
	version++;
	n = (size_t)(end - version);
	if (n == 8 && memcmp(version, "HTTP/1.1", 8) == 0)
		h->http_1_0 = false;
	else if (n == 8 && memcmp(version, "HTTP/1.0", 8) == 0)
		h->http_1_0 = true;
	else if (n == 8 && memcmp(version, "HTTP/", 5) == 0 &&
		 memcmp(version, "HTTP/1", 6) != 0)
		return refuse(505, why,
			      "only HTTP/1.0 and HTTP/1.1 are "
			      "spoken here");
	else
		return refuse(400, why, "the request line is malformed");
	return 0;
}

/* --- step two: what the fields mean ------------------------------------- */

/* How often each field that decides about framing or routing came. */
struct seen {
	unsigned int host, length, encoding;
	const char *host_value;
};

static int read_length(struct head *h, const char *value, const char **why)
{
	size_t n = strspn(value, "0123456789");
	int64_t length = 0;

	if (!n || value[n])
		return refuse(400, why, "Content-Length must be a number");
	if (n > LENGTH_MAX_DIGITS)
		return refuse(413, why, "Content-Length is too large");
	for (; *value; value++)
		length = length * 10 + (*value - '0');
	h->content_length = length;
	return 0;
}

/* A list of tokens; only two of them mean something to us. */
static void read_connection(struct head *h, const char *value)
{
	while (*value) {
		size_t n = strcspn(value, ", \t");

		if (n == 5 && strncasecmp(value, "close", n) == 0)
			h->close = true;
		if (n == 10 && strncasecmp(value, "keep-alive", n) == 0)
			h->keep_alive = true;
		value += n;
		value += strspn(value, ", \t");
	}
}

static int read_field(struct head *h, const struct http_header *f,
		      struct seen *seen, const char **why)
{
	if (strcmp(f->name, "host") == 0) {
		seen->host++;
		seen->host_value = f->value;
	} else if (strcmp(f->name, "content-length") == 0) {
		if (seen->length++)
			return refuse(400, why, "Content-Length came twice");
		return read_length(h, f->value, why);
	} else if (strcmp(f->name, "transfer-encoding") == 0) {
		if (seen->encoding++ || strcasecmp(f->value, "chunked") != 0)
			return refuse(400, why,
				      "the only Transfer-Encoding "
				      "understood is 'chunked'");
		h->chunked = true;
	} else if (strcmp(f->name, "connection") == 0) {
		read_connection(h, f->value);
	} else if (strcmp(f->name, "expect") == 0) {
		if (strcasecmp(f->value, "100-continue") != 0)
			return refuse(417, why,
				      "the only expectation met is "
				      "'100-continue'");
		h->expect_continue = !h->http_1_0;
	}
	return 0;
}

static int check_fields(struct head *h, struct seen *seen, const char **why)
{
	size_t i;
	int r;

	for (i = 0; i < h->n_headers; i++) {
		r = read_field(h, &h->headers[i], seen, why);
		if (r)
			return r;
	}
	if (seen->host > 1)
		return refuse(400, why, "Host came twice");
	if (!seen->host && !h->http_1_0)
		return refuse(400, why, "Host is missing");
	if (seen->host &&
	    !target_authority_valid(seen->host_value, strlen(seen->host_value)))
		return refuse(400, why, "Host is malformed");
	if (h->chunked && h->http_1_0)
		return refuse(400, why, "Transfer-Encoding needs HTTP/1.1");
	if (h->chunked && seen->length)
		return refuse(400, why,
			      "Content-Length and Transfer-Encoding "
			      "exclude each other");
	return 0;
}

/* --- step two: the target ----------------------------------------------- */

/* Cuts the authority off an absolute target; it must be that of Host. */
static int strip_authority(char **target, size_t *len, const char *host,
			   const char **why)
{
	const char *authority;
	size_t n = target_absolute(*target, *len, &authority);

	if (!n || !target_authority_valid(authority, n))
		return refuse(400, why, "the request target is malformed");
	if (host && (strlen(host) != n || strncasecmp(host, authority, n)))
		return refuse(400, why,
			      "the target's authority is not that "
			      "of Host");
	*len -= (size_t)(authority + n - *target);
	*target = (char *)authority + n;
	return 0;
}

static int read_target(struct head *h, char *target, size_t len,
		       const char *host, const char **why)
{
	char *query;
	int r;

	if (len == 1 && *target == '*' && h->method == HTTP_OPTIONS) {
		h->asterisk = true;
		h->path = "*";
		h->query = "";
		return 0;
	}
	if (*target != '/') {
		r = strip_authority(&target, &len, host, why);
		if (r)
			return r;
	}
	if (!target_valid(target, len))
		return refuse(400, why, "the request target is malformed");
	target[len] = '\0'; /* over the space before the version */
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	h->path = target;
	h->query = query ? query : "";
	return 0;
}

/* Everything but the target. */
static int read_head(struct head *h, struct request_line *line,
		     struct seen *seen, bool any_method, char *text, size_t len,
		     const char **why)
{
	int r;

	*h = (struct head){
		.path = "/",
		.query = "",
		.headers = h->headers,
		.n_headers = h->n_headers,
		.content_length = -1,
	};
	text[len] = '\0';
	r = parse_request_line(h, line, text, len, why);
	if (!r && h->method == HTTP_OTHER && !any_method)
		r = refuse(501, why, "the method is not implemented");
	if (!r)
		r = fields_parse(text, len, h->headers, &h->n_headers, why);
	return r ? r : check_fields(h, seen, why);
}

int head_parse(struct head *h, char *text, size_t len, const char **why)
{
	struct request_line line = { 0 };
	struct seen seen = { 0 };
	int r = read_head(h, &line, &seen, false, text, len, why);

	if (!r)
		r = read_target(h, (char *)line.target, line.target_len,
				seen.host_value, why);
	return r;
}

/* --- requests to a proxy ------------------------------------------------- */

/* The authority is moved to the front of the target, for there is room for its
 * NUL: "http://" stood there. */
static int read_proxy_target(struct head *h, struct head_proxy *p, char *target,
			     size_t len, const char **why)
{
	const char *authority;
	size_t n = target_absolute(target, len, &authority);
	size_t rest;

	if (!n || strncasecmp(target, "http://", 7) != 0)
		return refuse(400, why,
			      "this is a proxy: it takes CONNECT host:port and "
			      "http:// URLs");
	if (!target_authority_valid(authority, n))
		return refuse(400, why, "the request target is malformed");
	rest = (size_t)(authority + n - target);
	memmove(target, authority, n);
	target[n] = '\0';
	p->authority = target;
	if (rest == len) {
		h->path = "/";
		return 0;
	}
	return read_target(h, target + rest, len - rest, NULL, why);
}

int head_parse_proxy(struct head *h, struct head_proxy *p, char *text,
		     size_t len, const char **why)
{
	struct request_line line = { 0 };
	struct seen seen = { 0 };
	int r = read_head(h, &line, &seen, true, text, len, why);
	char *target = (char *)line.target;

	*p = (struct head_proxy){ .method = text };
	if (r)
		return r;
	target[-1] = '\0';
	if (strcmp(text, "CONNECT") != 0)
		return read_proxy_target(h, p, target, line.target_len, why);
	if (!target_authority_valid(target, line.target_len))
		return refuse(400, why, "the request target is malformed");
	target[line.target_len] = '\0';
	p->authority = target;
	p->connect = true;
	return 0;
}
