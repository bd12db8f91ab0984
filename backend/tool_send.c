#include "backend/tool_send_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/tool_request.h"
#include "common/clock.h"

#define SEND_USER_AGENT "cronium/" CRONIUM_VERSION
#define SEND_HEADER_MAX_BYTES \
	(TOOL_HEADER_NAME_MAX_BYTES + TOOL_HEADER_VALUE_MAX_BYTES + 8)

static int send_go(struct tool_send *t);

static void send_free(struct tool_send *t)
{
	curl_loop_stop(&t->transfer);
	curl_easy_cleanup(t->transfer.easy);
	curl_mime_free(t->mime);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->recipients);
	json_decref(t->reply_headers);
	buf_deinit_secret(&t->reply);
	free(t->traceparent);
	free(t->idempotency_key);
	free(t->url);
	free(t);
}

/* --- what libcurl asks ----------------------------------------------------- */

/* The one gate: every address that is connected to passes here, whatever
 * resolved or redirected to it. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose,
				    struct curl_sockaddr *address)
{
	struct tool_send *t = ctx;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    !tool_target_permitted(t->sender->allow, t->host, &address->addr)) {
		tool_target_text(&address->addr, t->refused);
		return CURL_SOCKET_BAD;
	}
	t->permitted = true;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		      address->protocol);
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct tool_send *t = ctx;

	n *= size;
	if (t->reply.len + n > TOOL_REPLY_MAX_BYTES) {
		t->too_large = true;
		return 0;
	}
	if (buf_append(&t->reply, data, n)) {
		t->out_of_memory = true;
		return 0;
	}
	return n;
}

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

/* --- the request ---------------------------------------------------------- */

bool tool_send_add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
	return more;
}

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

static void send_set_common(struct tool_send *t)
{
	CURL *easy = t->transfer.easy;

	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)TOOL_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	if (t->sender->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, t->sender->ca_file);
}

static int send_prepare_http(struct tool_send *t)
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

/* libcurl's idea of the host is what counts: it is what is connected to. */
static int send_set_host(struct tool_send *t)
{
	CURLU *url = curl_url();
	char *host = NULL, *end;
	int r = -EINVAL;

	if (!url)
		return -ENOMEM;
	if (!curl_url_set(url, CURLUPART_URL, t->url,
			  CURLU_NON_SUPPORT_SCHEME) &&
	    !curl_url_get(url, CURLUPART_HOST, &host, 0) &&
	    strlen(host) < sizeof(t->host)) {
		strcpy(t->host, host + (*host == '['));
		end = strchr(t->host, ']');
		if (end)
			*end = '\0';
		r = 0;
	}
	curl_free(host);
	curl_url_cleanup(url);
	return r;
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

/* --- the reply -------------------------------------------------------------- */

static int64_t send_retry_after_ms(const struct tool_send *t)
{
	curl_off_t seconds = 0;

	if (!json_object_get(t->reply_headers, "retry-after") ||
	    curl_easy_getinfo(t->transfer.easy, CURLINFO_RETRY_AFTER, &seconds))
		return -1;
	return seconds > INT32_MAX ? INT32_MAX : (int64_t)seconds * 1000;
}

static void send_classify_http(struct tool_send *t, CURLcode code,
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

static void send_explain(struct tool_send *t, CURLcode code, char *out)
{
	size_t size = TOOL_SEND_ERROR_BYTES;

	if (t->too_large)
		snprintf(out, size,
			 "its reply is larger than the %d KiB (headers: %d "
			 "KiB) that are accepted",
			 TOOL_REPLY_MAX_BYTES >> 10,
			 TOOL_REPLY_HEADERS_MAX_BYTES >> 10);
	else if (t->out_of_memory)
		snprintf(out, size, "the backend is out of memory");
	else if (t->refused[0] && !t->permitted)
		snprintf(out, size,
			 "%s is %s, which is not an address of the public "
			 "internet; --tools-allow can name it",
			 t->host, t->refused);
	else
		snprintf(out, size, "%s",
			 t->curl_error[0] ? t->curl_error
					  : curl_easy_strerror(code));
}

static void send_finish(struct tool_send *t, CURLcode code)
{
	char error[TOOL_SEND_ERROR_BYTES] = "";
	struct tool_sent sent = {
		.timed_out = code == CURLE_OPERATION_TIMEDOUT,
		.headers = t->reply_headers,
		.body = &t->reply,
		.retry_after_ms = send_retry_after_ms(t),
		.error = error,
	};
	long status = 0;

	curl_easy_getinfo(t->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	sent.status = (int)status;
	if (t->refused[0] && !t->permitted)
		sent.result = TOOL_SEND_REFUSED;
	else if (t->request->kind == TOOL_REQUEST_EMAIL)
		tool_send_classify_mail(t, code, &sent);
	else
		send_classify_http(t, code, &sent);
	if (code != CURLE_OK)
		send_explain(t, code, error);
	t->on_done(&sent, t->ctx);
	send_free(t);
}

/* A redirect that cannot be followed. */
static void send_finish_wrong(struct tool_send *t, const char *error)
{
	const struct tool_sent sent = {
		.result = TOOL_SEND_WRONG,
		.headers = t->reply_headers,
		.body = &t->reply,
		.retry_after_ms = -1,
		.error = error,
	};

	t->on_done(&sent, t->ctx);
	send_free(t);
}

/* --- redirects -------------------------------------------------------------- */

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

static bool same_origin(const char *a, const char *b)
{
	_cleanup_free_ char *x = origin_of(a), *y = origin_of(b);

	return x && y && !strcasecmp(x, y);
}

/* The URL to go on with; NULL: the reply is the answer. */
static const char *send_redirect(struct tool_send *t)
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

static void send_follow(struct tool_send *t, const char *to)
{
	bool other = !same_origin(t->url, to);
	char *url = strdup(to);

	if (!url) {
		send_finish(t, CURLE_OUT_OF_MEMORY);
		return;
	}
	free(t->url);
	t->url = url;
	t->redirects--;
	if (other)
		t->with_headers = false;
	if (other && (t->with_body || (strcmp(t->method, "GET") != 0 &&
				       strcmp(t->method, "HEAD") != 0))) {
		send_finish_wrong(t, "it redirects to another host, which is "
				     "followed for GET only");
		return;
	}
	if (send_go(t))
		send_finish_wrong(t, "it redirects to what is no URL of a "
				     "host");
}

static void on_transfer(struct curl_transfer *transfer, CURLcode code)
{
	struct tool_send *t = transfer->ctx;
	const char *to = code == CURLE_OK &&
					 t->request->kind == TOOL_REQUEST_HTTP
				 ? send_redirect(t)
				 : NULL;

	if (to)
		send_follow(t, to);
	else
		send_finish(t, code);
}

/* --- starting ----------------------------------------------------------------*/

/* One hop. */
static int send_go(struct tool_send *t)
{
	uint64_t now = clock_mono_ms();
	CURL *easy = t->transfer.easy;
	int r = send_set_host(t);

	if (!r && t->request->kind == TOOL_REQUEST_HTTP) {
		r = send_set_headers(t);
		send_set_method(t);
	}
	if (r)
		return r;
	t->permitted = false;
	t->refused[0] = '\0';
	t->reply_headers_bytes = 0;
	buf_clear(&t->reply);
	json_object_clear(t->reply_headers);
	curl_easy_setopt(easy, CURLOPT_URL, t->url);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
			 (long)(t->deadline_ms > now ? t->deadline_ms - now
						     : 1));
	return curl_loop_start(t->sender->loop, &t->transfer);
}

static char *copy_or_null(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int send_prepare(struct tool_send *t, const struct tool_send_options *o)
{
	const struct tool_rendered *r = t->request;
	bool is_mail = r->kind == TOOL_REQUEST_EMAIL;

	t->transfer.easy = curl_easy_init();
	t->transfer.on_done = on_transfer;
	t->transfer.ctx = t;
	t->reply_headers = json_object();
	t->url = strdup(is_mail ? r->email.server : r->url);
	t->traceparent = copy_or_null(o->traceparent);
	t->idempotency_key = copy_or_null(o->idempotency_key);
	t->redirects = o->redirects;
	t->deadline_ms = clock_mono_ms() + (uint64_t)o->timeout_ms;
	if (!t->transfer.easy || !t->reply_headers || !t->url ||
	    (o->traceparent && !t->traceparent) ||
	    (o->idempotency_key && !t->idempotency_key))
		return -ENOMEM;
	send_set_common(t);
	return is_mail ? tool_send_prepare_mail(t, o->message_id)
		       : send_prepare_http(t);
}

int tool_send_start(struct tool_sender *s, const struct tool_rendered *r,
		    const struct tool_send_options *options,
		    tool_send_fn on_done, void *ctx, struct tool_send **out)
{
	struct tool_send *t = calloc(1, sizeof(*t));
	int e;

	if (!t)
		return -ENOMEM;
	t->sender = s;
	t->request = r;
	t->on_done = on_done;
	t->ctx = ctx;
	e = send_prepare(t, options);
	if (!e)
		e = send_go(t);
	if (e) {
		send_free(t);
		return e;
	}
	*out = t;
	return 0;
}

void tool_send_cancel(struct tool_send *t)
{
	if (t)
		send_free(t);
}

/* --- the sender ----------------------------------------------------------- */

int tool_sender_new(struct tool_sender **out, struct event_base *base,
		    const struct tool_sender_config *config)
{
	struct tool_sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->allow = config->allow;
	s->ca_file = config->ca_file;
	r = curl_loop_new(&s->loop, base);
	if (r) {
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

void tool_sender_free(struct tool_sender *s)
{
	if (!s)
		return;
	curl_loop_free(s->loop);
	free(s);
}
