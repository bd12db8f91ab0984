/*
 * The reply to a plain request that the egress proxy sent on, on its way back:
 * it says that the connection ends with it, whether the server said so or not,
 * for some do not although they were asked to, and then a client would send its
 * next request into a connection that closes. Nothing else is read of it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/macro.h"

#define PROXY_REPLY_STATUS_BYTES 13 /* "HTTP/1.1 200 " */

/* Embedded by value; zero-initialise. */
struct proxy_reply {
	char line[PROXY_REPLY_STATUS_BYTES]; /* the start of the present one */
	size_t n;                            /* bytes of it */
	bool in_fields;                      /* of an interim reply (1xx) */
	bool done;                           /* all that follows is passed on */
};

/* Appends what is to be sent on. 0 or -ENOMEM. */
int proxy_reply_read(struct proxy_reply *p, const uint8_t *data, size_t len,
		     struct buf *out) MUST_CHECK;
