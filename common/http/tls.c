#include "common/http/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/transport.h"

struct tls_context {
	struct http_tls base; /* first */
	SSL_CTX *ctx;
	BIO_METHOD *socket;
};

struct tls_transport {
	struct transport base; /* first */
	SSL *ssl;
};

/* Length-prefixed names, in the server's order of preference. */
static const unsigned char ALPN[] = "\x02h2\x08http/1.1";

static SSL *tls_ssl(const struct transport *t)
{
	return ((const struct tls_transport *)t)->ssl;
}

/* The outcome of an SSL_* call that did not succeed. */
static ssize_t tls_result(struct transport *t, int r)
{
	int saved = errno;

	switch (SSL_get_error(tls_ssl(t), r)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->recv_wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved ? -saved : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

static ssize_t tls_recv(struct transport *t, void *data, size_t size)
{
	int n;

	ERR_clear_error();
	errno = 0;
	t->recv_wants_write = false;
	n = SSL_read(tls_ssl(t), data, (int)MIN(size, (size_t)INT_MAX));
	return n > 0 ? n : tls_result(t, n);
}

static ssize_t tls_send(struct transport *t, const void *data, size_t len)
{
	ssize_t r;
	int n;

	ERR_clear_error();
	errno = 0;
	n = SSL_write(tls_ssl(t), data, (int)MIN(len, (size_t)INT_MAX));
	if (n > 0)
		return n;
	r = tls_result(t, n);
	return r ? r : -EPIPE;
}

static bool tls_pending(const struct transport *t)
{
	return SSL_pending(tls_ssl(t)) > 0;
}

static bool tls_is_h2(const struct transport *t)
{
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(tls_ssl(t), &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0;
}

static void tls_shutdown(struct transport *t)
{
	ERR_clear_error();
	if (!SSL_in_init(tls_ssl(t)))
		SSL_shutdown(tls_ssl(t));
	shutdown(t->fd, SHUT_WR);
}

static void tls_free(struct transport *t)
{
	SSL_free(tls_ssl(t));
	close(t->fd);
	free(t);
}

static const struct transport_ops TLS_OPS = {
	.recv = tls_recv,
	.send = tls_send,
	.pending = tls_pending,
	.is_h2 = tls_is_h2,
	.shutdown = tls_shutdown,
	.free = tls_free,
};

/* --- the socket below OpenSSL --------------------------------------------- */

static int socket_fd(BIO *bio)
{
	return ((struct transport *)BIO_get_data(bio))->fd;
}

/* OpenSSL's own would write(2), which raises SIGPIPE in whoever uses us. */
static int socket_write(BIO *bio, const char *data, size_t len, size_t *sent)
{
	ssize_t n = send(socket_fd(bio), data, len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n >= 0) {
		*sent = (size_t)n;
		return 1;
	}
	if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_write(bio);
	return 0;
}

static int socket_read(BIO *bio, char *data, size_t size, size_t *got)
{
	ssize_t n = recv(socket_fd(bio), data, size, 0);

	BIO_clear_retry_flags(bio);
	if (n > 0) {
		*got = (size_t)n;
		return 1;
	}
	if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	else if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_read(bio);
	return 0;
}

/* Nothing is buffered; SSL_OP_IGNORE_UNEXPECTED_EOF asks for the end. */
static long socket_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

static BIO_METHOD *socket_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK,
				     "socket, no SIGPIPE");

	if (!m)
		return NULL;
	BIO_meth_set_write_ex(m, socket_write);
	BIO_meth_set_read_ex(m, socket_read);
	BIO_meth_set_ctrl(m, socket_ctrl);
	return m;
}

static SSL *tls_session_new(struct tls_context *c, struct transport *t)
{
	SSL *ssl = SSL_new(c->ctx);
	BIO *bio = ssl ? BIO_new(c->socket) : NULL;

	if (!bio) {
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, t);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return ssl;
}

/* --- contexts ------------------------------------------------------------- */

static struct transport *tls_accept(struct http_tls *tls, int fd)
{
	struct tls_context *c = (struct tls_context *)tls;
	struct tls_transport *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->base.ops = &TLS_OPS;
	t->base.fd = fd;
	t->ssl = tls_session_new(c, &t->base);
	if (!t->ssl) {
		free(t);
		return NULL;
	}
	return &t->base;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg)
{
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, ALPN, sizeof(ALPN) - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *tls_context_new(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return ctx;
}

static int tls_load(SSL_CTX *ctx, const char *cert_file, const char *key_file,
		    char *err, size_t err_size)
{
	const char *what = NULL;

	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
		what = cert_file;
	else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) !=
		 1)
		what = key_file;
	if (what) {
		unsigned long e = ERR_peek_error();
		const char *reason = ERR_SYSTEM_ERROR(e)
					     ? strerror(ERR_GET_REASON(e))
					     : ERR_reason_error_string(e);

		snprintf(err, err_size, "cannot load '%s': %s", what,
			 reason ? reason : "it holds nothing in PEM");
		ERR_clear_error();
		return -EINVAL;
	}
	if (SSL_CTX_check_private_key(ctx) != 1) {
		snprintf(err, err_size,
			 "the key in '%s' is not that of the "
			 "certificate in '%s'",
			 key_file, cert_file);
		ERR_clear_error();
		return -EINVAL;
	}
	return 0;
}

int http_tls_new(struct http_tls **out, const char *cert_file,
		 const char *key_file, char *err, size_t err_size)
{
	struct tls_context *c = calloc(1, sizeof(*c));
	int r;

	if (c) {
		c->ctx = tls_context_new();
		c->socket = socket_method_new();
	}
	if (!c || !c->ctx || !c->socket) {
		http_tls_free(c ? &c->base : NULL);
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	c->base.accept = tls_accept;
	r = tls_load(c->ctx, cert_file, key_file, err, err_size);
	if (r < 0) {
		http_tls_free(&c->base);
		return r;
	}
	*out = &c->base;
	return 0;
}

int http_tls_reload(struct http_tls *tls, const char *cert_file,
		    const char *key_file, char *err, size_t err_size)
{
	struct tls_context *c = (struct tls_context *)tls;
	SSL_CTX *fresh = tls_context_new();
	int r;

	if (!fresh) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	r = tls_load(fresh, cert_file, key_file, err, err_size);
	if (r < 0) {
		SSL_CTX_free(fresh);
		return r;
	}
	SSL_CTX_free(c->ctx);
	c->ctx = fresh;
	return 0;
}

void http_tls_free(struct http_tls *tls)
{
	struct tls_context *c = (struct tls_context *)tls;

	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	BIO_meth_free(c->socket);
	free(c);
}
