#include "backend/host_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/net_host.h"
#include "common/violations.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HOST_KEY_PREFIX "SHA256:"
#define HOST_KEY_BASE64_BYTES 43         /* 32 bytes, without padding */
#define HOST_KEY_LAST "AEIMQUYcgkosw048" /* its unused bits are zero */
#define HOST_QUOTED_BYTES 80             /* of what is wrong, in a sentence */

/* What was given, to be put into a sentence; cut short where it is long. */
static const char *host_quote(const json_t *v, char out[HOST_QUOTED_BYTES])
{
	if (json_is_string(v))
		snprintf(out, HOST_QUOTED_BYTES, "\"%.60s\"",
			 json_string_value(v));
	else if (json_is_integer(v))
		snprintf(out, HOST_QUOTED_BYTES, "%lld",
			 (long long)json_integer_value(v));
	else
		snprintf(out, HOST_QUOTED_BYTES, "%s",
			 v ? json_type_name(v) : "nothing");
	return out;
}

/* --- names --------------------------------------------------------------- */

bool host_name_valid(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= HOST_NAME_MAX_BYTES && *s != '-' &&
	       *s != '.' && strspn(s, LETTERS DIGITS "._-") == len;
}

/* Goes to the SSH server as it is, and into "user@address". */
static bool host_user_valid(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= HOST_USER_MAX_BYTES && *s != '-' &&
	       strspn(s, LETTERS DIGITS "._-+$\\") == len;
}

/* --- addresses ----------------------------------------------------------- */

/* One spelling of each: no brackets, no final dot. */
static bool host_address_valid(const char *s)
{
	size_t len = strlen(s);
	char normal[NET_HOST_BYTES];
	enum net_host_kind kind;

	return len && *s != '[' && s[len - 1] != '.' &&
	       !net_host_normal(s, len, normal, &kind);
}

/* --- the members --------------------------------------------------------- */

static void host_check_name(struct violations *c, const char *name,
			    const json_t *member)
{
	char quoted[HOST_QUOTED_BYTES];

	if (!host_name_valid(name))
		violations_add(c, "name",
			       "must be 1 to %d letters, digits, . _ -, the "
			       "first no . or -",
			       HOST_NAME_MAX_BYTES);
	if (member && (!json_is_string(member) ||
		       strcmp(json_string_value(member), name)))
		violations_add(c, "name",
			       "must be the one of the path, %.64s, not %s",
			       name, host_quote(member, quoted));
}

static const char *host_check_user(struct violations *c, const json_t *v)
{
	const char *s = json_string_value(v);
	char quoted[HOST_QUOTED_BYTES];

	if (!s || !host_user_valid(s))
		violations_add(c, "user",
			       "must be 1 to %d letters, digits, . _ + $ \\ "
			       "-, not %s",
			       HOST_USER_MAX_BYTES, host_quote(v, quoted));
	return s;
}

static const char *host_check_address(struct violations *c, const json_t *v)
{
	const char *s = json_string_value(v);
	char quoted[HOST_QUOTED_BYTES];

	if (!s || !host_address_valid(s))
		violations_add(c, "address",
			       "must be a host's name, an IPv4 or an IPv6 "
			       "address without brackets, not %s",
			       host_quote(v, quoted));
	return s;
}

static int64_t host_check_port(struct violations *c, const json_t *v)
{
	char quoted[HOST_QUOTED_BYTES];

	if (!v)
		return HOST_PORT_DEFAULT;
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > 65535)
		violations_add(c, "port", "must be 1 to 65535, not %s",
			       host_quote(v, quoted));
	return json_integer_value(v);
}

static bool host_key_valid(const char *s)
{
	size_t at = strlen(HOST_KEY_PREFIX);

	return !strncmp(s, HOST_KEY_PREFIX, at) &&
	       strlen(s) == at + HOST_KEY_BASE64_BYTES &&
	       strspn(s + at, LETTERS DIGITS "+/") == HOST_KEY_BASE64_BYTES &&
	       strchr(HOST_KEY_LAST, s[at + HOST_KEY_BASE64_BYTES - 1]);
}

static const char *host_check_key(struct violations *c, const json_t *v)
{
	const char *s = json_string_value(v);
	char quoted[HOST_QUOTED_BYTES];

	if (!v || json_is_null(v))
		return NULL;
	if (!s || !host_key_valid(s))
		violations_add(c, "host_key",
			       "must be null, or \"SHA256:\" and %d "
			       "characters of base64 as ssh-keygen -lf shows "
			       "it, not %s",
			       HOST_KEY_BASE64_BYTES, host_quote(v, quoted));
	return s;
}

static const char *host_check_mode(struct violations *c, const json_t *v)
{
	const char *s = json_string_value(v);
	char quoted[HOST_QUOTED_BYTES];

	if (!v)
		return "tunnel";
	if (!s || (strcmp(s, "tunnel") && strcmp(s, "direct")))
		violations_add(c, "mode", "must be tunnel or direct, not %s",
			       host_quote(v, quoted));
	return s;
}

static bool host_check_read_only(struct violations *c, const json_t *v)
{
	char quoted[HOST_QUOTED_BYTES];

	if (v && !json_is_boolean(v))
		violations_add(c, "read_only", "must be true or false, not %s",
			       host_quote(v, quoted));
	return json_is_true(v);
}

static void host_refuse_unknown(struct violations *c, const json_t *members)
{
	static const char *const known[] = { "name",      "user",
					     "address",   "port",
					     "host_key",  "mode",
					     "read_only", "created_ms" };
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)members, key, v) {
		size_t i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(known[i], key))
			i++;
		if (i == ARRAY_SIZE(known))
			violations_add(c, key, "is not a known member");
	}
}

int host_spec_parse(const char *name, const json_t *members,
		    struct store_host *out, struct buf *violations)
{
	struct violations c = { .out = violations };
	int r;

	host_refuse_unknown(&c, members);
	host_check_name(&c, name, json_object_get(members, "name"));
	*out = (struct store_host){
		.name = name,
		.user = host_check_user(&c, json_object_get(members, "user")),
		.address = host_check_address(&c, json_object_get(members,
								  "address")),
		.port = host_check_port(&c, json_object_get(members, "port")),
		.host_key = host_check_key(&c, json_object_get(members,
							       "host_key")),
		.mode = host_check_mode(&c, json_object_get(members, "mode")),
		.read_only = host_check_read_only(
			&c, json_object_get(members, "read_only")),
	};
	r = violations_end(&c);
	return r == VIOLATIONS_E_SOME ? HOST_SPEC_E_INVALID : r;
}

json_t *host_json(const struct store_host *h)
{
	return json_pack("{s:s,s:s,s:s,s:I,s:s?,s:s,s:b,s:I}", "name", h->name,
			 "user", h->user, "address", h->address, "port",
			 (json_int_t)h->port, "host_key", h->host_key, "mode",
			 h->mode, "read_only", h->read_only, "created_ms",
			 (json_int_t)h->created_ms);
}
