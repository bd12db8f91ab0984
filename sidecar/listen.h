/* Where scripts call: "HOST:PORT", "[::1]:PORT", "fd:N", or "none". */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/macro.h"

struct http_server;
struct http_tls;
struct option_list;

/*
 * Listens on each address. 127.0.0.1 and localhost also listen on [::1] where
 * that is possible, so that "localhost" works whichever it resolves to. Appends
 * a JSON array of what was bound to bound. 0, or negative errno with a sentence
 * in err.
 */
int listen_all(struct http_server *server, const struct option_list *addresses,
	       struct buf *bound, char *err, size_t err_size) MUST_CHECK;
/* The same with TLS, and no address by default. */
int listen_tls(struct http_server *server, const struct option_list *addresses,
	       struct http_tls *tls, struct buf *bound, char *err,
	       size_t err_size) MUST_CHECK;
/* In clear, with a tag for http_peer. */
int listen_tagged(struct http_server *server,
		  const struct option_list *addresses, const void *tag,
		  struct buf *bound, char *err, size_t err_size) MUST_CHECK;
