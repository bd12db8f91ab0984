/* A header field of a request or a reply. */
#pragma once

struct http_header {
	const char *name;  /* lower case in requests */
	const char *value; /* NUL-terminated, no control characters */
};
