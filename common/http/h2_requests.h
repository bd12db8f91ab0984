/*
 * The requests of an HTTP/2 connection, from nghttp2's callbacks: heads,
 * bodies, their ends, and floods of frames.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "common/macro.h"

struct http_exchange;

/* All callbacks of a session, whose user data is the struct http_conn. 0 or
 * -ENOMEM. */
int h2_requests_callbacks(nghttp2_session_callbacks **out) MUST_CHECK;

/* Goes on with a body that waited for the handler. */
void h2_request_wake(struct http_exchange *ex);
/* Takes it away from the handler and answers. */
void h2_request_refuse(struct http_exchange *ex, int status, const char *why);
/* Its stream is closed. */
void h2_request_bury(struct http_exchange *ex);
