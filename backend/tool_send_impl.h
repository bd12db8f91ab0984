/* What tool_send*.c share: one try, and how it is told to libcurl. */
#pragma once

#include "backend/tool_send.h"
#include "common/address.h"
#include "common/allow_list.h"
#include "common/curl/curl_loop.h"

struct tool_sender {
	struct curl_loop *loop;
	const struct allow_list *allow;
	const char *ca_file;
};

struct tool_send {
	struct tool_sender *sender;
	const struct tool_rendered *request;
	tool_send_fn on_done;
	void *ctx;
	struct curl_transfer transfer;
	struct curl_slist *headers, *recipients;
	curl_mime *mime;
	char *traceparent, *idempotency_key;

	/* Where it is: changes with each redirect. */
	char *url;
	const char *method;
	char host[ALLOW_LIST_HOST_MAX_BYTES];
	bool with_headers, with_body;
	int redirects; /* that may follow yet */
	uint64_t deadline_ms;

	/* What came back. */
	bool permitted;                   /* an address was one to connect to */
	char refused[ADDRESS_TEXT_BYTES]; /* one that was not, or "" */
	json_t *reply_headers;
	size_t reply_headers_bytes;
	struct buf reply;
	bool too_large, out_of_memory;
	char curl_error[CURL_ERROR_SIZE];
};

/* Sets up the easy handle of an email. 0 or negative errno. */
int tool_send_prepare_mail(struct tool_send *t,
			   const char *message_id) MUST_CHECK;
/* What became of it. */
void tool_send_classify_mail(struct tool_send *t, CURLcode code,
			     struct tool_sent *sent);

/* The same of an HTTP request, as a whole and for one hop. */
int tool_send_prepare_http(struct tool_send *t) MUST_CHECK;
int tool_send_set_http(struct tool_send *t) MUST_CHECK;
void tool_send_classify_http(struct tool_send *t, CURLcode code,
			     struct tool_sent *sent);
/* What Retry-After says; -1: nothing. */
int64_t tool_send_retry_after_ms(const struct tool_send *t);
/* The URL to go on with; NULL: the reply is the answer. */
const char *tool_send_redirect(struct tool_send *t);
bool tool_send_same_origin(const char *a, const char *b);

/* Appends a line to a list; false: out of memory. */
bool tool_send_add_line(struct curl_slist **list, const char *line);
