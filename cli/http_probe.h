/* One blocking GET over HTTP/1.1, for looking whether somebody is there. */
#pragma once

#include <sys/socket.h>

#include "common/macro.h"

#define HTTP_PROBE_TIMEOUT_S 3
#define HTTP_PROBE_HEAD_MAX_BYTES 4096

struct http_probe {
	int status;
	char head[HTTP_PROBE_HEAD_MAX_BYTES]; /* status line and headers */
};

/* 0 with any answer that begins like HTTP, or negative errno. */
int http_probe(const struct sockaddr *addr, socklen_t len, const char *path,
	       struct http_probe *out) MUST_CHECK;
/* The value of a header (name with its colon), in a static length buffer; ""
 * when absent. */
void http_probe_header(const struct http_probe *p, const char *name, char *out,
		       size_t size);
