/* HTTP/2 on a connection, by nghttp2. */
#pragma once

#include "common/macro.h"

struct conn_protocol;
struct http_conn;

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_PREFACE_BYTES 24

extern const struct conn_protocol H2_PROTOCOL;

/* Makes the session; it has SETTINGS to write. 0 or -ENOMEM. */
int h2_start(struct http_conn *c) MUST_CHECK;
/* Frees the session; never from within its callbacks. */
void h2_stop(struct http_conn *c);
