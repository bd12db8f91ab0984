#include "common/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"
#include "common/json.h"
#include "common/token_claims.h"
#include "common/token_key.h"

#define HEADER_MAX_BYTES 512 /* encoded; ours has 36 */

/* {"alg":"ES256","typ":"JWT"}: what token_mint() writes. */
static const char our_header[] = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9";

/* The three parts of a compact JWS, still encoded. */
struct parts {
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

/* --- SHA-256 -------------------------------------------------------------- */

/* Fetched once: looking an algorithm up by name costs more than hashing. */
static const EVP_MD *sha256(void)
{
	static EVP_MD *cached;
	EVP_MD *md = __atomic_load_n(&cached, __ATOMIC_ACQUIRE);
	EVP_MD *none = NULL;

	if (md)
		return md;
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (__atomic_compare_exchange_n(&cached, &none, md, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return md;
	EVP_MD_free(md);
	return none;
}

int token_digest(const char *jwt, size_t len, uint8_t out[TOKEN_DIGEST_BYTES])
{
	const EVP_MD *md = sha256();

	if (!md || EVP_Digest(jwt, len, out, NULL, md, NULL) != 1)
		return -ENOMEM;
	return 0;
}

/* --- minting -------------------------------------------------------------- */

static int append_base64url(struct buf *out, const void *data, size_t len)
{
	int r = buf_reserve(out, BASE64_URL_LEN(len));

	if (r < 0)
		return r;
	out->len += base64_url_encode(data, len, (char *)out->data + out->len);
	return 0;
}

int token_mint(const struct token_key *k, const struct token_claims *c,
	       struct buf *out)
{
	_cleanup_(buf_deinit) struct buf payload = { 0 };
	uint8_t signature[TOKEN_SIGNATURE_BYTES];
	size_t start = out->len;
	int r;

	if ((r = token_claims_encode(c, &payload)) ||
	    (r = buf_append_str(out, our_header)) ||
	    (r = buf_append(out, ".", 1)) ||
	    (r = append_base64url(out, payload.data, payload.len)) ||
	    (r = token_key_sign(k, out->data + start, out->len - start,
				signature)) ||
	    (r = buf_append(out, ".", 1)) ||
	    (r = append_base64url(out, signature, sizeof(signature))))
		out->len = start;
	return r;
}

/* --- verifying ------------------------------------------------------------ */

static int split(const char *jwt, size_t len, struct parts *p)
{
	const char *dot1, *dot2, *end = jwt + len;

	if (len > TOKEN_MAX_BYTES)
		return TOKEN_E_MALFORMED;
	dot1 = memchr(jwt, '.', len);
	if (!dot1)
		return TOKEN_E_MALFORMED;
	dot2 = memchr(dot1 + 1, '.', (size_t)(end - dot1 - 1));
	if (!dot2 || memchr(dot2 + 1, '.', (size_t)(end - dot2 - 1)))
		return TOKEN_E_MALFORMED;
	*p = (struct parts){
		.header = jwt,
		.header_len = (size_t)(dot1 - jwt),
		.payload = dot1 + 1,
		.payload_len = (size_t)(dot2 - dot1 - 1),
		.signature = dot2 + 1,
		.signature_len = (size_t)(end - dot2 - 1),
	};
	return 0;
}

static int check_header_members(const json_t *o)
{
	const char *alg = json_string_value(json_object_get(o, "alg"));
	const json_t *typ = json_object_get(o, "typ");

	if (!alg || strcmp(alg, "ES256"))
		return TOKEN_E_ALGORITHM;
	/* Each changes what the rest means, and we implement none of them. */
	if (json_object_get(o, "crit") || json_object_get(o, "b64") ||
	    json_object_get(o, "zip"))
		return TOKEN_E_CRITICAL;
	if (typ &&
	    (!json_is_string(typ) || strcasecmp(json_string_value(typ), "JWT")))
		return TOKEN_E_MALFORMED;
	return 0;
}

static int check_header(const struct parts *p)
{
	uint8_t decoded[BASE64_URL_DECODED_MAX(HEADER_MAX_BYTES)];
	_cleanup_json_ json_t *o = NULL;
	ssize_t n;

	if (p->header_len == sizeof(our_header) - 1 &&
	    !memcmp(p->header, our_header, sizeof(our_header) - 1))
		return 0;
	if (p->header_len > HEADER_MAX_BYTES)
		return TOKEN_E_MALFORMED;
	n = base64_url_decode(p->header, p->header_len, decoded);
	if (n < 0)
		return TOKEN_E_MALFORMED;
	o = json_loadb((char *)decoded, (size_t)n, JSON_REJECT_DUPLICATES,
		       NULL);
	return json_is_object(o) ? check_header_members(o) : TOKEN_E_MALFORMED;
}

static int check_signature(const struct token_key *k, const char *jwt,
			   const struct parts *p)
{
	uint8_t sig[BASE64_URL_DECODED_MAX(
		BASE64_URL_LEN(TOKEN_SIGNATURE_BYTES))];

	if (p->signature_len != BASE64_URL_LEN(TOKEN_SIGNATURE_BYTES) ||
	    base64_url_decode(p->signature, p->signature_len, sig) !=
		    TOKEN_SIGNATURE_BYTES ||
	    !token_key_verify(k, jwt, p->header_len + 1 + p->payload_len, sig))
		return TOKEN_E_SIGNATURE;
	return 0;
}

static int check_claims(const struct token_claims *c,
			const struct token_expect *expect, int64_t now_s)
{
	if (strcmp(c->audience, expect->audience))
		return TOKEN_E_AUDIENCE;
	if (strcmp(c->issuer, expect->issuer))
		return TOKEN_E_ISSUER;
	if (expect->subject && strcmp(c->subject, expect->subject))
		return TOKEN_E_SUBJECT;
	return token_check_times(c, now_s);
}

int token_check_times(const struct token_claims *c, int64_t now_s)
{
	if (now_s >= c->expires_s + TOKEN_LEEWAY_S)
		return TOKEN_E_EXPIRED;
	if (now_s + TOKEN_LEEWAY_S < MAX(c->not_before_s, c->issued_s))
		return TOKEN_E_NOT_YET;
	return 0;
}

int token_verify(const struct token_key *k, const char *jwt, size_t len,
		 const struct token_expect *expect, int64_t now_s,
		 struct token_claims *out)
{
	uint8_t payload[BASE64_URL_DECODED_MAX(TOKEN_MAX_BYTES)];
	struct parts p;
	ssize_t n;
	int r;

	/* The claims are looked at only once the signature is good. */
	if ((r = split(jwt, len, &p)) || (r = check_header(&p)) ||
	    (r = check_signature(k, jwt, &p)))
		return r;
	n = base64_url_decode(p.payload, p.payload_len, payload);
	if (n < 0)
		return TOKEN_E_MALFORMED;
	r = token_claims_decode(payload, (size_t)n, out);
	if (!r)
		r = check_claims(out, expect, now_s);
	if (r)
		token_claims_deinit(out);
	return r;
}

void token_claimed_subject(const char *jwt, size_t len, char *out, size_t size)
{
	uint8_t payload[BASE64_URL_DECODED_MAX(TOKEN_MAX_BYTES)];
	_cleanup_json_ json_t *o = NULL;
	const char *subject;
	struct parts p;
	ssize_t n;

	*out = '\0';
	if (split(jwt, len, &p))
		return;
	n = base64_url_decode(p.payload, p.payload_len, payload);
	if (n < 0)
		return;
	o = json_loadb((char *)payload, (size_t)n, JSON_REJECT_DUPLICATES,
		       NULL);
	subject = json_string_value(json_object_get(o, "sub"));
	if (subject && strlen(subject) < size)
		strcpy(out, subject);
}

const char *token_strerror(int e)
{
	switch (e) {
	case TOKEN_E_MALFORMED:
		return "the token is not a well-formed JWT";
	case TOKEN_E_ALGORITHM:
		return "the token is not signed with ES256";
	case TOKEN_E_CRITICAL:
		return "the token needs an extension that is not supported";
	case TOKEN_E_SIGNATURE:
		return "the token's signature is wrong";
	case TOKEN_E_CLAIMS:
		return "a claim of the token is missing or makes no sense";
	case TOKEN_E_AUDIENCE:
		return "the token is meant for another audience";
	case TOKEN_E_ISSUER:
		return "the token comes from another issuer";
	case TOKEN_E_SUBJECT:
		return "the token belongs to another execution";
	case TOKEN_E_EXPIRED:
		return "the token has expired";
	case TOKEN_E_NOT_YET:
		return "the token is not valid yet: compare the clocks";
	default:
		return e < 0 ? "out of memory" : "the token is good";
	}
}
