#include "orchestrator/ssh_hostkey.h"

#include <fnmatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SSH_HOSTKEY_LINE_MAX_BYTES 16384
#define SSH_HOSTKEY_BLOB_MAX_BYTES 8192
#define SSH_HOSTKEY_HOST_MAX_BYTES 320
#define SSH_HOSTKEY_SALT_MAX_BYTES 64

static const char *const ssh_hostkey_algorithms[] = {
	"ssh-ed25519",
	"ecdsa-sha2-nistp256",
	"ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521",
	"ssh-rsa",
};

const char *ssh_hostkey_algorithm(size_t i)
{
	return i < ARRAY_SIZE(ssh_hostkey_algorithms)
		       ? ssh_hostkey_algorithms[i]
		       : NULL;
}

static void ssh_hostkey_print(const void *key, size_t len,
			      char out[SSH_HOSTKEY_PRINT_BYTES])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	unsigned char text[SSH_HOSTKEY_PRINT_BYTES];

	SHA256(key, len, hash);
	EVP_EncodeBlock(text, hash, sizeof(hash));
	snprintf(out, SSH_HOSTKEY_PRINT_BYTES, "SHA256:%.*s",
		 (int)strcspn((char *)text, "="), text);
}

/* The blob's first string. */
static void ssh_hostkey_name(const uint8_t *key, size_t len,
			     char out[SSH_HOSTKEY_NAME_BYTES])
{
	size_t n = len < 4 ? 0
			   : (size_t)key[0] << 24 | (size_t)key[1] << 16 |
				     (size_t)key[2] << 8 | key[3];

	if (!n || n > len - 4 || n >= SSH_HOSTKEY_NAME_BYTES) {
		snprintf(out, SSH_HOSTKEY_NAME_BYTES, "unknown");
		return;
	}
	memcpy(out, key + 4, n);
	out[n] = '\0';
}

/* --- known_hosts ---------------------------------------------------------- */

/* Decodes padded base64; how many bytes, or -1. */
static int ssh_hostkey_decode(const char *s, size_t n, uint8_t *out,
			      size_t size)
{
	size_t pad = 0;
	int got;

	if (!n || n % 4 || n / 4 * 3 > size)
		return -1;
	while (pad < 2 && s[n - 1 - pad] == '=')
		pad++;
	got = EVP_DecodeBlock(out, (const unsigned char *)s, (int)n);
	return got < 0 ? -1 : got - (int)pad;
}

/* |1|base64 salt|base64 HMAC-SHA1(salt, host) */
static bool ssh_hostkey_hashed_matches(const char *s, const char *host)
{
	uint8_t salt[SSH_HOSTKEY_SALT_MAX_BYTES];
	uint8_t want[SSH_HOSTKEY_SALT_MAX_BYTES], got[EVP_MAX_MD_SIZE];
	const char *bar = strchr(s + 3, '|');
	unsigned int n = 0;
	int salt_len, want_len;

	if (!bar)
		return false;
	salt_len = ssh_hostkey_decode(s + 3, (size_t)(bar - s - 3), salt,
				      sizeof(salt));
	want_len = ssh_hostkey_decode(bar + 1, strlen(bar + 1), want,
				      sizeof(want));
	if (salt_len <= 0 || want_len != SHA_DIGEST_LENGTH ||
	    !HMAC(EVP_sha1(), salt, salt_len, (const unsigned char *)host,
		  strlen(host), got, &n))
		return false;
	return !CRYPTO_memcmp(want, got, SHA_DIGEST_LENGTH);
}

/* names is cut into pieces. */
static bool ssh_hostkey_names_match(char *names, const char *host)
{
	bool found = false;
	char *rest = NULL;

	if (!strncmp(names, "|1|", 3))
		return ssh_hostkey_hashed_matches(names, host);
	for (char *p = strtok_r(names, ",", &rest); p;
	     p = strtok_r(NULL, ",", &rest)) {
		bool negated = *p == '!';
		/* [ and ] are part of [host]:port, not a class. */
		char pattern[2 * SSH_HOSTKEY_HOST_MAX_BYTES];
		size_t n = 0;

		for (p += negated; *p && n < sizeof(pattern) - 2; p++) {
			if (*p == '[' || *p == ']' || *p == '\\')
				pattern[n++] = '\\';
			pattern[n++] = *p;
		}
		pattern[n] = '\0';
		if (fnmatch(pattern, host, FNM_CASEFOLD) != 0)
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found;
}

struct ssh_hostkey_entry {
	bool revoked;
	uint8_t key[SSH_HOSTKEY_BLOB_MAX_BYTES];
	size_t len;
};

/* line is cut into pieces; false for what does not speak of the host. */
static bool ssh_hostkey_parse(char *line, const char *host,
			      struct ssh_hostkey_entry *out)
{
	char *rest = NULL, *names, *type, *text;
	int n;

	out->revoked = false;
	names = strtok_r(line, " \t\r", &rest);
	if (names && *names == '@') {
		if (strcmp(names, "@revoked") != 0)
			return false;
		out->revoked = true;
		names = strtok_r(NULL, " \t\r", &rest);
	}
	type = strtok_r(NULL, " \t\r", &rest);
	text = strtok_r(NULL, " \t\r", &rest);
	if (!names || *names == '#' || !type || !text ||
	    !ssh_hostkey_names_match(names, host))
		return false;
	n = ssh_hostkey_decode(text, strlen(text), out->key, sizeof(out->key));
	out->len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* As OpenSSH writes it: [host]:port, where the port is not 22. */
static void ssh_hostkey_host(const struct ssh_hostkey_store *store,
			     char out[SSH_HOSTKEY_HOST_MAX_BYTES])
{
	if (store->port == 22)
		snprintf(out, SSH_HOSTKEY_HOST_MAX_BYTES, "%s", store->address);
	else
		snprintf(out, SSH_HOSTKEY_HOST_MAX_BYTES, "[%s]:%u",
			 store->address, store->port);
	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a'); /* as names are hashed */
}

/* The next entry of the host from *at on; false when there is none. */
static bool ssh_hostkey_next(const char **at, const char *host,
			     struct ssh_hostkey_entry *out)
{
	while (*at && **at) {
		char line[SSH_HOSTKEY_LINE_MAX_BYTES];
		size_t n = strcspn(*at, "\n");
		const char *start = *at;

		*at += n + (start[n] == '\n');
		if (n >= sizeof(line))
			continue;
		memcpy(line, start, n);
		line[n] = '\0';
		if (ssh_hostkey_parse(line, host, out))
			return true;
	}
	return false;
}

/* --- judging -------------------------------------------------------------- */

static void ssh_hostkey_judge_known(const struct ssh_hostkey_store *store,
				    const void *key, size_t len,
				    struct ssh_hostkey_finding *out)
{
	char host[SSH_HOSTKEY_HOST_MAX_BYTES];
	const char *at = store->known;
	struct ssh_hostkey_entry e;

	out->verdict = SSH_HOSTKEY_UNKNOWN;
	ssh_hostkey_host(store, host);
	while (ssh_hostkey_next(&at, host, &e)) {
		bool same = e.len == len && !memcmp(e.key, key, len);

		if (e.revoked && same) {
			out->verdict = SSH_HOSTKEY_REVOKED;
			return;
		}
		if (e.revoked)
			continue;
		if (same) {
			out->verdict = SSH_HOSTKEY_GOOD;
		} else if (out->verdict == SSH_HOSTKEY_UNKNOWN) {
			out->verdict = SSH_HOSTKEY_CHANGED;
			ssh_hostkey_print(e.key, e.len, out->expected);
		}
	}
}

void ssh_hostkey_judge(const struct ssh_hostkey_store *store, const void *key,
		       size_t len, struct ssh_hostkey_finding *out)
{
	*out = (struct ssh_hostkey_finding){ 0 };
	ssh_hostkey_print(key, len, out->seen);
	ssh_hostkey_name(key, len, out->algorithm);
	ssh_hostkey_judge_known(store, key, len, out);
	if (!store->pinned || out->verdict == SSH_HOSTKEY_REVOKED)
		return;
	snprintf(out->expected, sizeof(out->expected), "%s", store->pinned);
	out->verdict = strcmp(out->seen, store->pinned) ? SSH_HOSTKEY_CHANGED
							: SSH_HOSTKEY_GOOD;
}

static void ssh_hostkey_add(char out[SSH_HOSTKEY_PREFER_BYTES],
			    const char *name)
{
	size_t n = strlen(out);

	if (!strstr(out, name))
		snprintf(out + n, SSH_HOSTKEY_PREFER_BYTES - n, "%s%s",
			 n ? "," : "", name);
}

void ssh_hostkey_prefer(const struct ssh_hostkey_store *store,
			char out[SSH_HOSTKEY_PREFER_BYTES])
{
	char host[SSH_HOSTKEY_HOST_MAX_BYTES], name[SSH_HOSTKEY_NAME_BYTES];
	const char *at = store->pinned ? NULL : store->known;
	struct ssh_hostkey_entry e;

	*out = '\0';
	ssh_hostkey_host(store, host);
	while (ssh_hostkey_next(&at, host, &e)) {
		ssh_hostkey_name(e.key, e.len, name);
		for (size_t i = 0; !e.revoked && ssh_hostkey_algorithm(i); i++)
			if (!strcmp(name, ssh_hostkey_algorithms[i]))
				ssh_hostkey_add(out, name);
	}
	for (size_t i = 0; ssh_hostkey_algorithm(i); i++)
		ssh_hostkey_add(out, ssh_hostkey_algorithms[i]);
}
