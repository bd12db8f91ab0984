#include "backend/keys.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/secret_file.h"
#include "common/file.h"
#include "common/hex.h"
#include "common/token.h"
#include "payload/sign.h"

#define KEYS_PAYLOAD_PUBLIC_FILE "keys/payload.pub"
#define KEYS_MASTER_ENV "CRONIUM_MASTER_KEY"
#define KEYS_API_KEY_ENV "CRONIUM_API_KEY"

#define KEYS_API_KEY_PREFIX "ck_"
#define KEYS_API_KEY_MIN_BYTES 16
#define KEYS_API_KEY_MAX_BYTES 512
#define KEYS_API_KEY_RANDOM_BYTES 32
#define KEYS_MASTER_HEX_BYTES ((size_t)2 * VAULT_KEY_BYTES)

static void keys_free_secret(char *s)
{
	if (s)
		OPENSSL_clear_free(s, strlen(s) + 1);
}
DEFINE_CLEANUP(char *, keys_free_secret)
#define _cleanup_secret_ _cleanup_(keys_free_secretp)
#define _cleanup_buf_ _cleanup_(buf_deinit_secret)

void keys_deinit(struct keys *k)
{
	token_key_free(k->signing);
	payload_signer_free(k->payload);
	buf_deinit_secret(&k->payload_pem);
	vault_free(k->vault);
	keys_free_secret(k->api_key);
	keys_free_secret(k->master_hex);
	free(k->dir);
	*k = (struct keys){ 0 };
}

/* Takes a variable out of the environment, where children and
 * /proc/PID/environ would show it. NULL when it is not set or empty. */
static char *keys_take_env(const char *name)
{
	char *value = getenv(name);
	char *copy = value && *value ? OPENSSL_strdup(value) : NULL;

	if (value)
		OPENSSL_cleanse(value, strlen(value));
	unsetenv(name);
	return copy;
}

/* Drops white space at both ends: files end in a newline. */
static void keys_trim(struct buf *b)
{
	while (b->len && isspace(b->data[b->len - 1]))
		b->len--;
	while (b->len && isspace(b->data[0]))
		buf_consume(b, 1);
}

/* n random bytes as hex, OPENSSL_malloc()ed; NULL on failure. */
static char *keys_random_hex(const char *prefix, size_t n)
{
	size_t at = strlen(prefix);
	char *s = OPENSSL_zalloc(at + 2 * n + 1);
	uint8_t byte;

	if (!s)
		return NULL;
	memcpy(s, prefix, at);
	for (size_t i = 0; i < n; i++, at += 2) {
		if (RAND_bytes(&byte, 1) <= 0) {
			OPENSSL_free(s);
			return NULL;
		}
		hex_encode(&byte, 1, s + at);
	}
	return s;
}

/* ------------------------------------------------------------ signing key */

static int keys_load_signing(struct keys *k, char *err, size_t err_size)
{
	_cleanup_buf_ struct buf pem = { 0 }, check = { 0 };
	int r = secret_file_read(k->dir, KEYS_SIGNING_FILE, &pem, err,
				 err_size);

	if (r == -ENOENT) {
		k->made |= KEYS_MADE_SIGNING;
		k->save_signing = true;
		r = token_key_generate(&k->signing);
		if (r < 0)
			snprintf(err, err_size, "cannot make a signing key");
		return r;
	}
	if (r < 0)
		return r;
	r = token_key_parse((const char *)pem.data, pem.len, &k->signing);
	if (r == 0)
		r = token_key_private_pem(k->signing, &check);
	if (r < 0)
		snprintf(err, err_size,
			 "%s/" KEYS_SIGNING_FILE " is not a P-256 private key "
			 "in PEM form; restore it, or remove it to have a new "
			 "one made (jobs that run now then fail)",
			 k->dir);
	return r;
}

/* ------------------------------------------------------------ payload key */

/* A key like any other of P-256: in memory until it is written. */
static int keys_make_payload(struct keys *k, char *err, size_t err_size)
{
	struct token_key *key = NULL;
	int r = token_key_generate(&key);

	if (r == 0)
		r = token_key_private_pem(key, &k->payload_pem);
	token_key_free(key);
	if (r == 0)
		r = payload_signer_new(&k->payload,
				       (const char *)k->payload_pem.data,
				       k->payload_pem.len);
	if (r < 0)
		snprintf(err, err_size, "cannot make a key for payloads");
	return r;
}

static int keys_load_payload(struct keys *k, char *err, size_t err_size)
{
	_cleanup_buf_ struct buf pem = { 0 };
	int r = secret_file_read(k->dir, KEYS_PAYLOAD_FILE, &pem, err,
				 err_size);

	if (r == -ENOENT) {
		k->made |= KEYS_MADE_PAYLOAD;
		return keys_make_payload(k, err, err_size);
	}
	if (r < 0)
		return r;
	r = payload_signer_new(&k->payload, (const char *)pem.data, pem.len);
	if (r < 0)
		snprintf(err, err_size,
			 "%s/" KEYS_PAYLOAD_FILE " is not a P-256 private key "
			 "in PEM form; restore it, or remove it to have a new "
			 "one made (remote runners that were given the old "
			 "one then refuse their jobs)",
			 k->dir);
	return r;
}

/* ------------------------------------------------------------- master key */

static int keys_parse_hex(const char *hex, size_t len, uint8_t *out)
{
	if (len != KEYS_MASTER_HEX_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < VAULT_KEY_BYTES; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int keys_set_master(struct keys *k, const char *hex, size_t len,
			   const char *source, char *err, size_t err_size)
{
	uint8_t key[VAULT_KEY_BYTES];
	int r = keys_parse_hex(hex, len, key);

	if (r < 0) {
		snprintf(err, err_size,
			 "%s has to be %d hexadecimal digits (32 bytes), it "
			 "has %zu characters; a new one: openssl rand -hex 32",
			 source, 2 * VAULT_KEY_BYTES, len);
	} else {
		r = vault_new(&k->vault, key);
		if (r < 0)
			snprintf(err, err_size, "AES-256-GCM: %s",
				 strerror(-r));
	}
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

static int keys_load_master(struct keys *k, char *err, size_t err_size)
{
	_cleanup_secret_ char *env = keys_take_env(KEYS_MASTER_ENV);
	_cleanup_buf_ struct buf file = { 0 };
	int r;

	if (env)
		return keys_set_master(k, env, strlen(env), "$" KEYS_MASTER_ENV,
				       err, err_size);
	r = secret_file_read(k->dir, KEYS_MASTER_FILE, &file, err, err_size);
	if (r == -ENOENT) {
		k->made |= KEYS_MADE_MASTER;
		k->master_hex = keys_random_hex("", VAULT_KEY_BYTES);
		if (!k->master_hex)
			return -ENOMEM;
		return keys_set_master(k, k->master_hex, KEYS_MASTER_HEX_BYTES,
				       KEYS_MASTER_FILE, err, err_size);
	}
	if (r < 0)
		return r;
	keys_trim(&file);
	return keys_set_master(k, (const char *)file.data, file.len,
			       KEYS_MASTER_FILE, err, err_size);
}

/* ---------------------------------------------------------------- API key */

static bool keys_api_key_valid(const char *key, size_t len)
{
	if (len < KEYS_API_KEY_MIN_BYTES || len > KEYS_API_KEY_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	return true;
}

static int keys_check_api_key(const char *key, size_t len, const char *source,
			      char *err, size_t err_size)
{
	if (keys_api_key_valid(key, len))
		return 0;
	snprintf(err, err_size,
		 "%s has to be %d to %d printable characters without spaces, "
		 "it has %zu; a new one: openssl rand -hex 32",
		 source, KEYS_API_KEY_MIN_BYTES, KEYS_API_KEY_MAX_BYTES, len);
	return -EINVAL;
}

static int keys_load_api_key(struct keys *k, char *err, size_t err_size)
{
	_cleanup_buf_ struct buf file = { 0 };
	int r;

	k->api_key = keys_take_env(KEYS_API_KEY_ENV);
	if (k->api_key)
		return keys_check_api_key(k->api_key, strlen(k->api_key),
					  "$" KEYS_API_KEY_ENV, err, err_size);
	r = secret_file_read(k->dir, KEYS_API_KEY_FILE, &file, err, err_size);
	if (r == -ENOENT) {
		k->made |= KEYS_MADE_API_KEY;
		k->save_api_key = true;
		k->api_key = keys_random_hex(KEYS_API_KEY_PREFIX,
					     KEYS_API_KEY_RANDOM_BYTES);
		return k->api_key ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	keys_trim(&file);
	r = keys_check_api_key((const char *)file.data, file.len,
			       KEYS_API_KEY_FILE, err, err_size);
	if (r < 0)
		return r;
	k->api_key = OPENSSL_strndup((const char *)file.data, file.len);
	return k->api_key ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------- keys */

int keys_load(struct keys *k, const char *data_dir, char *err, size_t err_size)
{
	int r;

	snprintf(err, err_size, "out of memory");
	*k = (struct keys){ .dir = strdup(data_dir) };
	r = k->dir ? 0 : -ENOMEM;
	if (r == 0)
		r = keys_load_signing(k, err, err_size);
	if (r == 0)
		r = keys_load_payload(k, err, err_size);
	if (r == 0)
		r = keys_load_master(k, err, err_size);
	if (r == 0)
		r = keys_load_api_key(k, err, err_size);
	if (r < 0)
		keys_deinit(k);
	return r;
}

static int keys_save_signing(struct keys *k, char *err, size_t err_size)
{
	_cleanup_buf_ struct buf pem = { 0 };
	int r = token_key_private_pem(k->signing, &pem);

	if (r < 0)
		return r;
	return secret_file_create(k->dir, KEYS_SIGNING_FILE, pem.data, pem.len,
				  err, err_size);
}

static int keys_save_line(struct keys *k, const char *name, const char *line,
			  char *err, size_t err_size)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r = buf_printf(&b, "%s\n", line);

	if (r < 0)
		return r;
	return secret_file_create(k->dir, name, b.data, b.len, err, err_size);
}

/* The public half follows the private one, which may have been replaced. */
static int keys_save_payload_public(struct keys *k, char *err, size_t err_size)
{
	_cleanup_(buf_deinit) struct buf pem = { 0 };
	_cleanup_free_ char *path = NULL;
	int r = payload_signer_public_pem(k->payload, &pem);

	if (r == 0 &&
	    asprintf(&path, "%s/" KEYS_PAYLOAD_PUBLIC_FILE, k->dir) < 0)
		return -ENOMEM;
	if (r == 0)
		r = file_replace(path, pem.data, pem.len, 0644);
	if (r < 0)
		snprintf(err, err_size, "cannot write %s: %s",
			 path ? path : KEYS_PAYLOAD_PUBLIC_FILE, strerror(-r));
	return r;
}

int keys_save(struct keys *k, char *err, size_t err_size)
{
	int r = 0;

	snprintf(err, err_size, "out of memory");
	if (k->save_signing)
		r = keys_save_signing(k, err, err_size);
	if (r == 0 && k->payload_pem.len)
		r = secret_file_create(k->dir, KEYS_PAYLOAD_FILE,
				       k->payload_pem.data, k->payload_pem.len,
				       err, err_size);
	if (r == 0)
		r = keys_save_payload_public(k, err, err_size);
	if (r == 0 && k->master_hex)
		r = keys_save_line(k, KEYS_MASTER_FILE, k->master_hex, err,
				   err_size);
	if (r == 0 && k->save_api_key)
		r = keys_save_line(k, KEYS_API_KEY_FILE, k->api_key, err,
				   err_size);
	if (r < 0)
		return r;
	keys_free_secret(k->master_hex);
	k->master_hex = NULL;
	buf_deinit_secret(&k->payload_pem);
	k->save_signing = k->save_api_key = false;
	return 0;
}
