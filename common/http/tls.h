/* TLS for the server: TLS 1.2 and later, ALPN h2 and http/1.1. */
#pragma once

#include "common/macro.h"

struct http_tls;

/* PEM files. 0, or negative errno with a sentence in err. It must outlive the
 * servers that listen with it. */
int http_tls_new(struct http_tls **out, const char *cert_file,
		 const char *key_file, char *err, size_t err_size) MUST_CHECK;
/* Reads the files again; connections that are open keep what they have. On
 * error nothing has changed. */
int http_tls_reload(struct http_tls *tls, const char *cert_file,
		    const char *key_file, char *err,
		    size_t err_size) MUST_CHECK;
void http_tls_free(struct http_tls *tls);
DEFINE_CLEANUP(struct http_tls *, http_tls_free)
