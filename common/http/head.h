/*
 * The head of an HTTP/1 request: request line and header fields. Two steps:
 * head_scan() finds its end while bytes arrive and refuses what no head may
 * contain; head_parse() then reads the complete block with llhttp (strict)
 * and refuses everything that two readers could understand differently.
 *
 * Pure: no sockets, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/http/server.h"
#include "common/macro.h"

/* Zero-initialise for every request. */
struct head_scan {
	size_t pos;   /* bytes looked at */
	size_t line;  /* where the current line starts */
	size_t start; /* where the request line starts */
	uint32_t lines;
	bool after_cr;
};

/*
 * data is the request from its first byte on, each time. Returns the length
 * of the head once it is complete, 0 while bytes are missing, or the negative
 * HTTP status to refuse with; *why is a sentence then.
 */
ssize_t head_scan(struct head_scan *s, const uint8_t *data, size_t len,
		  size_t max_bytes, const char **why) MUST_CHECK;

struct head {
	enum http_method method;
	const char *path;
	const char *query;
	struct http_header *headers; /* room for n_headers of them, */
	size_t n_headers;            /* which is scan.lines - 1 */
	int64_t content_length;      /* -1 when absent */
	bool chunked;
	bool http_1_0;
	bool close;      /* Connection: close */
	bool keep_alive; /* Connection: keep-alive */
	bool expect_continue;
	bool asterisk; /* OPTIONS * */
};

/* What a request to a proxy has beside its head. */
struct head_proxy {
	const char *method;
	const char *authority; /* host and perhaps port, as in the target */
	bool connect;          /* CONNECT authority: no path */
};

/*
 * text is the head without leading empty line, len bytes and room for a NUL;
 * it is written into (names become lower case, values NUL-terminated) and
 * pointed into. Returns 0, or the HTTP status to refuse with and *why.
 */
int head_parse(struct head *h, char *text, size_t len,
	       const char **why) MUST_CHECK;

/*
 * The same for a request to a proxy: CONNECT host:port, or any other method
 * that llhttp knows with an absolute http:// target. Host is not compared with
 * it: a proxy sends on what the target says.
 */
int head_parse_proxy(struct head *h, struct head_proxy *p, char *text,
		     size_t len, const char **why) MUST_CHECK;

/* The method of this name, HTTP_OTHER where it is not ours. */
enum http_method head_method(const char *s, size_t len);
