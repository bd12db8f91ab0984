#include "backend/tool_send_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/tool_request.h"
#include "common/clock.h"

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

/* --- what libcurl asks ---------------------------------------------------- */

/* The one gate: every address that is connected to passes here, whatever
 * resolved or redirected to it. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose,
				    struct curl_sockaddr *address)
{
	struct tool_send *t = ctx;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    !allow_list_permits(t->sender->allow, t->host, &address->addr)) {
		address_text(&address->addr, t->refused);
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

/* --- the request ---------------------------------------------------------- */

bool tool_send_add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
	return more;
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

/* --- the reply ------------------------------------------------------------ */

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
		.retry_after_ms = tool_send_retry_after_ms(t),
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
		tool_send_classify_http(t, code, &sent);
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

/* --- redirects ------------------------------------------------------------ */

static void send_follow(struct tool_send *t, const char *to)
{
	bool other = !tool_send_same_origin(t->url, to);
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
				 ? tool_send_redirect(t)
				 : NULL;

	if (to)
		send_follow(t, to);
	else
		send_finish(t, code);
}

/* --- starting ------------------------------------------------------------- */

/* One hop. */
static int send_go(struct tool_send *t)
{
	uint64_t now = clock_mono_ms();
	CURL *easy = t->transfer.easy;
	int r = send_set_host(t);

	if (!r && t->request->kind == TOOL_REQUEST_HTTP)
		r = tool_send_set_http(t);
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
		       : tool_send_prepare_http(t);
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
