#include "cli/payload_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/read_file.h"
#include "common/file.h"
#include "payload/digest.h"
#include "payload/read.h"
#include "payload/sign.h"
#include "payload/verify.h"

#define PAYLOAD_FILE_MODE 0644
#define PAYLOAD_FILE_SUM_MAX_BYTES 4096

bool payload_file_is(const char *path, const struct buf *content)
{
	static const char *const suffixes[] = { ".tar.gz", ".tgz" };
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !strcmp(path + len - n, suffixes[i]))
			return true;
	}
	return payload_is_archive(content->data, content->len);
}

int payload_file_beside(const char *path, const char *suffix, struct buf *out)
{
	if (!buf_printf(out, "%s%s", path, suffix) && buf_cstr(out))
		return 0;
	output_error("out of memory");
	return -EINVAL;
}

int payload_file_write(const char *path, const struct buf *content)
{
	int r = strcmp(path, "-")
			? file_replace(path, content->data, content->len,
				       PAYLOAD_FILE_MODE)
			: output_bytes(STDOUT_FILENO, content->data,
				       content->len);

	if (r < 0)
		output_error("cannot write %s: %s",
			     strcmp(path, "-") ? path : "to stdout",
			     strerror(-r));
	return r < 0 ? -EINVAL : 0;
}

static int payload_file_write_beside(const char *path, const char *suffix,
				     const struct buf *content)
{
	_cleanup_(buf_deinit) struct buf name = { 0 };
	int r = payload_file_beside(path, suffix, &name);

	return r ? r : payload_file_write((char *)name.data, content);
}

static int payload_file_write_sum(const char *path, const struct buf *content)
{
	_cleanup_(buf_deinit) struct buf line = { 0 };
	char digest[PAYLOAD_DIGEST_CHARS + 1];
	const char *slash = strrchr(path, '/');

	payload_digest_hex(content->data, content->len, digest);
	if (buf_printf(&line, "%s  %s\n", digest, slash ? slash + 1 : path)) {
		output_error("out of memory");
		return -EINVAL;
	}
	return payload_file_write_beside(path, PAYLOAD_FILE_CHECKSUM_SUFFIX,
					 &line);
}

/* --- sign ---------------------------------------------------------------- */

static int payload_file_signer(const char *key_path,
			       struct payload_signer **signer)
{
	_cleanup_(buf_deinit_secret) struct buf pem = { 0 };
	int r = read_file("key", key_path, PAYLOAD_FILE_KEY_MAX_BYTES, &pem);

	if (r)
		return r;
	r = payload_signer_new(signer, (char *)pem.data, pem.len);
	if (r)
		output_error("%s is no private key of P-256 in PEM, or has a "
			     "password; `openssl ecparam -name prime256v1 "
			     "-genkey -noout -out NEW.pem` makes one",
			     key_path);
	return r ? -EINVAL : 0;
}

int payload_file_sign(const char *path, const struct buf *content,
		      const char *key_path)
{
	_cleanup_(payload_signer_freep) struct payload_signer *signer = NULL;
	_cleanup_(buf_deinit) struct buf signature = { 0 };
	int r = payload_file_signer(key_path, &signer);

	if (r)
		return r;
	if (payload_sign(signer, content->data, content->len, &signature) ||
	    buf_append_str(&signature, "\n")) {
		output_error("cannot sign %s: out of memory", path);
		return -EINVAL;
	}
	r = payload_file_write_beside(path, PAYLOAD_FILE_SIGNATURE_SUFFIX,
				      &signature);
	return r ? r : payload_file_write_sum(path, content);
}

/* --- verify -------------------------------------------------------------- */

static int payload_file_key(const char *key_path, struct payload_key *key)
{
	_cleanup_(buf_deinit) struct buf pem = { 0 };
	int r = read_file("key", key_path, PAYLOAD_FILE_KEY_MAX_BYTES, &pem);

	if (!r && payload_key_parse(key, (char *)pem.data, pem.len)) {
		output_error("%s is no public key of P-256 in PEM; `openssl ec "
			     "-in KEY -pubout` makes it of a private one",
			     key_path);
		r = -EINVAL;
	}
	return r;
}

/* A sum beside it is checked, because it says sooner what is wrong. */
static int payload_file_check_sum(const char *path, const struct buf *content)
{
	_cleanup_(buf_deinit) struct buf name = { 0 }, sum = { 0 };
	char digest[PAYLOAD_DIGEST_CHARS + 1];

	if (payload_file_beside(path, PAYLOAD_FILE_CHECKSUM_SUFFIX, &name))
		return -EINVAL;
	if (access((char *)name.data, F_OK) < 0)
		return 0;
	if (read_file("checksum", (char *)name.data, PAYLOAD_FILE_SUM_MAX_BYTES,
		      &sum))
		return -EINVAL;
	payload_digest_hex(content->data, content->len, digest);
	if (sum.len >= PAYLOAD_DIGEST_CHARS &&
	    !memcmp(sum.data, digest, PAYLOAD_DIGEST_CHARS))
		return 0;
	output_error("%s is not what %s was made of: its SHA-256 is %s", path,
		     (char *)name.data, digest);
	return -EINVAL;
}

int payload_file_verify(const char *path, const struct buf *content,
			const char *key_path, const char *signature_path)
{
	_cleanup_(buf_deinit) struct buf name = { 0 }, signature = { 0 };
	struct payload_key key;
	int r = payload_file_key(key_path, &key);

	if (!r && !signature_path)
		r = payload_file_beside(path, PAYLOAD_FILE_SIGNATURE_SUFFIX,
					&name);
	if (!r && !signature_path)
		signature_path = (char *)name.data;
	if (!r)
		r = read_file("signature", signature_path,
			      PAYLOAD_SIGNATURE_MAX_BYTES, &signature);
	if (!r)
		r = payload_file_check_sum(path, content);
	if (r)
		return r;
	r = payload_verify(&key, content->data, content->len,
			   (char *)signature.data, signature.len);
	if (r == PAYLOAD_E_MALFORMED)
		output_error("%s is no signature: base64 of an ECDSA signature "
			     "is expected, as `cronium payload sign` and "
			     "cosign write it",
			     signature_path);
	else if (r)
		output_error("%s does not belong to %s and %s: the payload was "
			     "altered, or another key has signed it; do not "
			     "run it",
			     signature_path, path, key_path);
	return r ? -EINVAL : 0;
}
