#include "backend-client/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "backend-client/transport.h"

struct tls {
	struct transport base;
	SSL *ssl;
};

static int tls_context_new(void **out, const char *ca_file)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	static const unsigned char alpn[] = { 2, 'h', '2' };
	int ok;

	if (!ctx)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	if (ca_file)
		ok = SSL_CTX_load_verify_locations(ctx, ca_file, NULL);
	else
		ok = SSL_CTX_set_default_verify_paths(ctx);
	if (ok != 1 || SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn))) {
		SSL_CTX_free(ctx);
		ERR_clear_error();
		return -ENOKEY;
	}
	*out = ctx;
	return 0;
}

static void tls_context_free(void *context)
{
	SSL_CTX_free(context);
}

/* The outcome of a failed SSL call as -errno. */
static int tls_result(struct tls *t, int r)
{
	int error = SSL_get_error(t->ssl, r), saved = errno;

	t->base.wants_write = error == SSL_ERROR_WANT_WRITE;
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved ? -saved : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

static int tls_handshake(struct transport *base, const char **why)
{
	struct tls *t = (struct tls *)base;
	const unsigned char *alpn;
	unsigned int alpn_len;
	long verdict;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_connect(t->ssl);
	if (r == 1) {
		SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
		if (alpn_len == 2 && !memcmp(alpn, "h2", 2))
			return 0;
		*why = "the server does not offer HTTP/2 (ALPN h2)";
		return -EPROTO;
	}
	r = tls_result(t, r);
	if (r == -EAGAIN)
		return r;
	verdict = SSL_get_verify_result(t->ssl);
	*why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
				    : "the TLS handshake failed";
	return verdict != X509_V_OK ? -EKEYREJECTED : -EPROTO;
}

static ssize_t tls_read(struct transport *base, void *data, size_t n)
{
	struct tls *t = (struct tls *)base;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_read(t->ssl, data, (int)MIN(n, (size_t)INT_MAX));
	return r > 0 ? r : tls_result(t, r);
}

static ssize_t tls_write(struct transport *base, const void *data, size_t n)
{
	struct tls *t = (struct tls *)base;
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_write(t->ssl, data, (int)MIN(n, (size_t)INT_MAX));
	if (r > 0)
		return r;
	r = tls_result(t, r);
	return r ? r : -EPIPE;
}

static void tls_free(struct transport *base)
{
	struct tls *t = (struct tls *)base;

	if (t->ssl && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	ERR_clear_error();
	close(base->fd);
	free(t);
}

static const struct transport_ops tls_ops = {
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.free = tls_free,
};

/* The name in the certificate that we insist on. */
static int tls_expect_host(SSL *ssl, const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1 ||
	    inet_pton(AF_INET6, host, &v6) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

static int tls_transport_new(struct transport **out, void *context, int fd,
			     const char *host)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t) {
		close(fd);
		return -ENOMEM;
	}
	t->base.ops = &tls_ops;
	t->base.fd = fd;
	t->ssl = SSL_new(context);
	if (!t->ssl || !SSL_set_fd(t->ssl, fd) ||
	    !tls_expect_host(t->ssl, host)) {
		tls_free(&t->base);
		return -ENOMEM;
	}
	*out = &t->base;
	return 0;
}

static const struct transport_tls tls_provider = {
	.context_new = tls_context_new,
	.context_free = tls_context_free,
	.transport_new = tls_transport_new,
};

void backend_client_tls_enable(void)
{
	transport_tls = &tls_provider;
}
