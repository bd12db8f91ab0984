/* An HTTP request by libcurl: its hops, and what each of them says. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_request.h"
#include "backend/tool_send_impl.h"

#define SEND_USER_AGENT "cronium/" CRONIUM_VERSION
#define SEND_HEADER_MAX_BYTES \
	(TOOL_HEADER_NAME_MAX_BYTES + TOOL_HEADER_VALUE_MAX_BYTES + 8)

/* --- what is sent --------------------------------------------------------- */

/* libcurl takes "Name;" for an empty value. */
static bool send_add_header(struct tool_send *t, const char *name,
			    const char *value)
{
	char line[SEND_HEADER_MAX_BYTES];
	int n = *value ? snprintf(line, sizeof(line), "%s: %s", name, value)
		       : snprintf(line, sizeof(line), "%s;", name);
	bool fits = n > 0 && (size_t)n < sizeof(line);

	fits = fits && tool_send_add_line(&t->headers, line);
	explicit_bzero(line, sizeof(line));
	return fits;
}

static bool request_has(const struct tool_rendered *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (!strcasecmp(r->headers[i].name, name))
			return true;
	return false;
}

static bool send_add_own(struct tool_send *t, const char *name,
			 const char *value)
{
	return !value || request_has(t->request, name) ||
	       send_add_header(t, name, value);
}

/* Another origin gets nothing of what was meant for the first. */
static int send_set_headers(struct tool_send *t)
{
	const struct tool_rendered *r = t->request;
	bool ok;

	curl_slist_free_all(t->headers);
	t->headers = NULL;
	/* No waiting for "100 Continue"; no type of libcurl's choice. */
	ok = tool_send_add_line(&t->headers, "Expect:");
	if (ok && !request_has(r, "content-type"))
		ok = tool_send_add_line(&t->headers, "Content-Type:");
	for (size_t i = 0; ok && t->with_headers && i < r->n_headers; i++)
		if (t->with_body ||
		    strcasecmp(r->headers[i].name, "content-type") != 0)
			ok = send_add_header(t, r->headers[i].name,
					     r->headers[i].value);
	if (ok && t->with_headers)
		ok = send_add_own(t, "traceparent", t->traceparent) &&
		     send_add_own(t, "Idempotency-Key", t->idempotency_key);
	curl_easy_setopt(t->transfer.easy, CURLOPT_HTTPHEADER, t->headers);
	return ok ? 0 : -ENOMEM;
}

static void send_set_method(struct tool_send *t)
{
	const struct buf *body = &t->request->body;
	CURL *easy = t->transfer.easy;

	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (t->with_body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)body->len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				 body->len ? (char *)body->data : "");
	} else if (!strcmp(t->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->method);
}

int tool_send_set_http(struct tool_send *t)
{
	send_set_method(t);
	return send_set_headers(t);
}

/* --- what comes back ------------------------------------------------------ */

/* Adds a header to those that are there; equal names are joined. What is no
 * text is left out. */
static int reply_header_add(struct tool_send *t, const char *name,
			    const char *value, size_t len)
{
	const json_t *old = json_object_get(t->reply_headers, name);
	json_t *new;

	if (old)
		new = json_sprintf("%s, %.*s", json_string_value(old), (int)len,
				   value);
	else
		new = json_stringn(value, len);
	if (!new)
		return 0;
	return json_object_set_new(t->reply_headers, name, new);
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct tool_send *t = ctx;
	char name[TOOL_HEADER_NAME_MAX_BYTES + 1];
	const char *colon, *end;
	size_t len;

	n *= size;
	t->reply_headers_bytes += n;
	if (t->reply_headers_bytes > TOOL_REPLY_HEADERS_MAX_BYTES) {
		t->too_large = true;
		return 0;
	}
	if (n > 5 && !strncmp(line, "HTTP/", 5))
		json_object_clear(t->reply_headers);
	colon = memchr(line, ':', n);
	len = colon ? (size_t)(colon - line) : 0;
	if (!len || len >= sizeof(name))
		return n;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)line[i]);
	name[len] = '\0';
	for (end = line + n;
	     end > colon + 1 && isspace((unsigned char)end[-1]);)
		end--;
	for (colon++; colon < end && isspace((unsigned char)*colon);)
		colon++;
	if (reply_header_add(t, name, colon, (size_t)(end - colon))) {
		t->out_of_memory = true;
		return 0;
	}
	return n;
}

int tool_send_prepare_http(struct tool_send *t)
{
	const struct tool_rendered *r = t->request;
	CURL *easy = t->transfer.easy;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, SEND_USER_AGENT);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)!r->idempotent);
	t->method = r->method;
	t->with_headers = true;
	t->with_body = r->has_body || !strcmp(r->method, "POST") ||
		       !strcmp(r->method, "PUT") || !strcmp(r->method, "PATCH");
	return 0;
}

int64_t tool_send_retry_after_ms(const struct tool_send *t)
{
	curl_off_t seconds = 0;

	if (!json_object_get(t->reply_headers, "retry-after") ||
	    curl_easy_getinfo(t->transfer.easy, CURLINFO_RETRY_AFTER, &seconds))
		return -1;
	return seconds > INT32_MAX ? INT32_MAX : (int64_t)seconds * 1000;
}

void tool_send_classify_http(struct tool_send *t, CURLcode code,
			     struct tool_sent *sent)
{
	long request_bytes = 0;

	curl_easy_getinfo(t->transfer.easy, CURLINFO_REQUEST_SIZE,
			  &request_bytes);
	switch (code) {
	case CURLE_OK:
		sent->result = TOOL_SEND_ANSWERED;
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_LOGIN_DENIED:
	case CURLE_SSL_CACERT_BADFILE:
		sent->result = TOOL_SEND_WRONG;
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		sent->result = TOOL_SEND_NOT_SENT;
		break;
	default:
		sent->result = request_bytes ? TOOL_SEND_BROKEN
					     : TOOL_SEND_NOT_SENT;
	}
}

/* --- redirects ------------------------------------------------------------ */

static char *origin_of(const char *text)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST,
					   CURLUPART_PORT };
	_cleanup_(buf_deinit) struct buf out = { 0 };
	CURLU *url = curl_url();
	bool ok = url && !curl_url_set(url, CURLUPART_URL, text, 0);

	for (size_t i = 0; ok && i < ARRAY_SIZE(parts); i++) {
		char *part = NULL;

		ok = !curl_url_get(url, parts[i], &part, CURLU_DEFAULT_PORT) &&
		     !buf_printf(&out, "%s ", part);
		curl_free(part);
	}
	curl_url_cleanup(url);
	return ok ? buf_take(&out, NULL) : NULL;
}

bool tool_send_same_origin(const char *a, const char *b)
{
	_cleanup_free_ char *x = origin_of(a), *y = origin_of(b);

	return x && y && !strcasecmp(x, y);
}

const char *tool_send_redirect(struct tool_send *t)
{
	char *url = NULL;
	long status = 0;

	curl_easy_getinfo(t->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->transfer.easy, CURLINFO_REDIRECT_URL, &url);
	if (!url || !t->redirects ||
	    (status != 301 && status != 302 && status != 303 && status != 307 &&
	     status != 308))
		return NULL;
	if (strcmp(t->method, "HEAD") != 0 &&
	    (status == 303 || (status < 303 && !strcmp(t->method, "POST")))) {
		t->method = "GET";
		t->with_body = false;
	}
	return url;
}
