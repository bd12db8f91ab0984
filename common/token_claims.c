#include "common/token_claims.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"

/* 9999-12-31T23:59:59Z: beyond it is a mistake or an attempt. */
#define TIME_MAX_S INT64_C(253402300799)

static const char *const scope_names[] = {
	"input", "output", "variables", "condition", "context", "tools",
};

static void patterns_deinit(struct token_patterns *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->items[i]);
	free(p->items);
	*p = (struct token_patterns){ 0 };
}

void token_claims_deinit(struct token_claims *c)
{
	free(c->issuer);
	free(c->audience);
	free(c->subject);
	free(c->job);
	free(c->id);
	patterns_deinit(&c->vars_read);
	patterns_deinit(&c->vars_write);
	patterns_deinit(&c->tools);
	*c = (struct token_claims){ 0 };
}

/* --- reading ------------------------------------------------------------- */

static int take_string(const json_t *o, const char *name, char **out)
{
	const char *s = json_string_value(json_object_get(o, name));

	if (!s || !*s)
		return TOKEN_E_CLAIMS;
	*out = strdup(s);
	return *out ? 0 : -ENOMEM;
}

static int take_time(const json_t *o, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > TIME_MAX_S)
		return TOKEN_E_CLAIMS;
	*out = json_integer_value(v);
	return 0;
}

/* Scopes that this version does not know grant nothing. */
static int take_scopes(const json_t *o, unsigned int *out)
{
	const json_t *list = json_object_get(o, "scope"), *item;
	size_t i;

	if (!json_is_array(list))
		return TOKEN_E_CLAIMS;
	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return TOKEN_E_CLAIMS;
		for (size_t s = 0; s < ARRAY_SIZE(scope_names); s++)
			if (!strcmp(json_string_value(item), scope_names[s]))
				*out |= 1u << s;
	}
	return 0;
}

static int take_patterns(const json_t *o, const char *name,
			 struct token_patterns *out)
{
	const json_t *list = json_object_get(o, name), *item;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > TOKEN_PATTERNS_MAX)
		return TOKEN_E_CLAIMS;
	out->items = calloc(json_array_size(list) + 1, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return TOKEN_E_CLAIMS;
		out->items[i] = strdup(json_string_value(item));
		if (!out->items[i])
			return -ENOMEM;
		out->n++;
	}
	return 0;
}

static int take_flag(const json_t *o, const char *name, bool *out)
{
	const json_t *v = json_object_get(o, name);

	if (v && !json_is_boolean(v))
		return TOKEN_E_CLAIMS;
	*out = json_is_true(v);
	return 0;
}

int token_claims_decode(const void *json, size_t len, struct token_claims *out)
{
	_cleanup_json_ json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES,
					      NULL);
	int r;

	*out = (struct token_claims){ 0 };
	if (!json_is_object(o))
		return TOKEN_E_MALFORMED;
	if ((r = take_string(o, "iss", &out->issuer)) ||
	    (r = take_string(o, "aud", &out->audience)) ||
	    (r = take_string(o, "sub", &out->subject)) ||
	    (r = take_string(o, "job", &out->job)) ||
	    (r = take_string(o, "jti", &out->id)) ||
	    (r = take_time(o, "iat", &out->issued_s)) ||
	    (r = take_time(o, "nbf", &out->not_before_s)) ||
	    (r = take_time(o, "exp", &out->expires_s)) ||
	    (r = take_scopes(o, &out->scopes)) ||
	    (r = take_patterns(o, "vars_read", &out->vars_read)) ||
	    (r = take_patterns(o, "vars_write", &out->vars_write)) ||
	    (r = take_patterns(o, "tools", &out->tools)) ||
	    (r = take_flag(o, "ro", &out->read_only)))
		return r;
	return out->expires_s > out->not_before_s ? 0 : TOKEN_E_CLAIMS;
}

/* --- writing ------------------------------------------------------------- */

static json_t *patterns_json(const struct token_patterns *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++)
		if (json_array_append_new(list, json_string(p->items[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *scopes_json(unsigned int scopes)
{
	json_t *list = json_array();

	for (size_t s = 0; s < ARRAY_SIZE(scope_names); s++)
		if (scopes & 1u << s &&
		    json_array_append_new(list, json_string(scope_names[s])) <
			    0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int token_claims_encode(const struct token_claims *c, struct buf *out)
{
	_cleanup_json_ json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, "
		"s:b}",
		"iss", c->issuer, "aud", c->audience, "sub", c->subject, "job",
		c->job, "jti", c->id, "iat", (json_int_t)c->issued_s, "nbf",
		(json_int_t)c->not_before_s, "exp", (json_int_t)c->expires_s,
		"scope", scopes_json(c->scopes), "vars_read",
		patterns_json(&c->vars_read), "vars_write",
		patterns_json(&c->vars_write), "tools",
		patterns_json(&c->tools), "ro", c->read_only);

	return o ? json_append(out, o) : -ENOMEM;
}

/* --- what a key pattern lets through -------------------------------------- */

/* Greedy with one point to fall back to: O(pattern x key). */
static bool pattern_matches(const char *pattern, const char *key)
{
	const char *star = NULL, *retry = NULL;

	while (*key) {
		if (*pattern == '*') {
			star = pattern++;
			retry = key;
		} else if (*pattern == *key) {
			pattern++;
			key++;
		} else if (star) {
			pattern = star + 1;
			key = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool patterns_match(const struct token_patterns *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++)
		if (pattern_matches(p->items[i], key))
			return true;
	return false;
}

bool token_may_read(const struct token_claims *c, const char *key)
{
	return patterns_match(&c->vars_read, key);
}

bool token_may_write(const struct token_claims *c, const char *key)
{
	return !c->read_only && patterns_match(&c->vars_write, key);
}

bool token_may_call(const struct token_claims *c, const char *name)
{
	return patterns_match(&c->tools, name);
}
