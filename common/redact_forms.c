#include "common/redact_forms.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "common/json.h"
#include "common/redact.h"

#define REDACT_ALIGNMENTS 3

struct redact_sink {
	int (*add)(void *ctx, const uint8_t *bytes, size_t len);
	void *ctx;
};

static int redact_give(const struct redact_sink *sink, struct buf *form)
{
	int r = sink->add(sink->ctx, form->data, form->len);

	explicit_bzero(form->data, form->len);
	buf_clear(form);
	return r;
}

/* --- base64 -------------------------------------------------------------- */

static void redact_url_alphabet(struct buf *form)
{
	for (size_t i = 0; i < form->len; i++)
		if (form->data[i] == '+')
			form->data[i] = '-';
		else if (form->data[i] == '/')
			form->data[i] = '_';
}

/*
 * The characters of base64(AHEAD unknown bytes, secret, unknown bytes) that
 * the secret alone decides.
 */
static int redact_base64(const uint8_t *secret, size_t len, size_t ahead,
			 struct buf *form)
{
	static const size_t first[REDACT_ALIGNMENTS] = { 0, 2, 3 };
	_cleanup_(buf_deinit_secret) struct buf padded = { 0 };
	size_t whole = (ahead + len) * 8 / 6;
	int r = buf_append(&padded, "\0\0", ahead);

	if (r == 0)
		r = buf_append(&padded, secret, len);
	if (r == 0)
		r = buf_reserve(form, (padded.len + 2) / 3 * 4 + 1);
	if (r < 0)
		return r;
	EVP_EncodeBlock(form->data, padded.data, (int)padded.len);
	form->len = whole - first[ahead];
	memmove(form->data, form->data + first[ahead], form->len);
	return 0;
}

static int redact_base64_forms(const struct redact_sink *sink,
			       const uint8_t *secret, size_t len,
			       struct buf *form)
{
	int r = 0;

	for (size_t ahead = 0; ahead < REDACT_ALIGNMENTS; ahead++)
		for (int url = 0; url < 2 && r == 0; url++) {
			r = redact_base64(secret, len, ahead, form);
			if (r == 0 && url)
				redact_url_alphabet(form);
			if (r == 0)
				r = redact_give(sink, form);
		}
	return r;
}

/* --- percent-encoding ---------------------------------------------------- */

/* What a library leaves as it is. */
struct redact_percent {
	const char *safe; /* besides letters and digits; NULL: not even those */
	bool plus;        /* a space becomes '+' */
};

static const struct redact_percent redact_percents[] = {
	{ "-._~", false },      /* RFC 3986 */
	{ "-._~/", false },     /* Python's quote */
	{ "-._~", true },       /* Python's quote_plus */
	{ "-._~/", true },      /* the same, of a path */
	{ "-_.!~*'()", false }, /* encodeURIComponent */
	{ "-_.*", true },       /* HTML forms */
	{ NULL, false },        /* every byte */
};

static int redact_percent(const struct redact_percent *how, const char *hex,
			  const uint8_t *secret, size_t len, struct buf *form)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		uint8_t c = secret[i];
		char escape[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z');

		if (how->plus && c == ' ')
			r = buf_append(form, "+", 1);
		else if (how->safe && (alnum || (c && strchr(how->safe, c))))
			r = buf_append(form, &c, 1);
		else
			r = buf_append(form, escape, sizeof(escape));
	}
	return r;
}

static int redact_percent_forms(const struct redact_sink *sink,
				const uint8_t *secret, size_t len,
				struct buf *form)
{
	static const char *const digits[] = { "0123456789ABCDEF",
					      "0123456789abcdef" };
	int r = 0;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(redact_percents) && r == 0; i++) {
		r = redact_percent(&redact_percents[i / 2], digits[i % 2],
				   secret, len, form);
		if (r == 0)
			r = redact_give(sink, form);
	}
	return r;
}

/* --- in quotes ------------------------------------------------------------ */

/* As Python's repr() and Node's inspect() show a string, where that is not as
 * JSON does. */
static int redact_quoted(const uint8_t *secret, size_t len, const char *escaped,
			 struct buf *form)
{
	static const char controls[] = "\n\r\t";
	static const char letters[] = "nrt";
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		uint8_t c = secret[i];
		const char *control = c ? strchr(controls, c) : NULL;

		if (control)
			r = buf_printf(form, "\\%c",
				       letters[control - controls]);
		else if (c < ' ' || c == 0x7f)
			r = buf_printf(form, "\\x%02x", c);
		else if (strchr(escaped, c))
			r = buf_printf(form, "\\%c", c);
		else
			r = buf_append(form, &c, 1);
	}
	return r;
}

static int redact_quoted_forms(const struct redact_sink *sink,
			       const uint8_t *secret, size_t len,
			       struct buf *form)
{
	static const char *const escaped[] = { "\\", "\\'" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(escaped) && r == 0; i++) {
		r = redact_quoted(secret, len, escaped[i], form);
		if (r == 0)
			r = redact_give(sink, form);
	}
	return r;
}

/* --- JSON ---------------------------------------------------------------- */

/* With and without \u for what is not ASCII, with and without \/. */
static int redact_json_forms(const struct redact_sink *sink,
			     const json_t *string, struct buf *form)
{
	static const size_t flags[] = {
		0,
		JSON_ENSURE_ASCII,
		JSON_ESCAPE_SLASH,
		JSON_ESCAPE_SLASH | JSON_ENSURE_ASCII,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && r == 0; i++) {
		char *text = json_dumps(string, JSON_ENCODE_ANY | flags[i]);
		size_t n = text ? strlen(text) : 0;

		if (!text)
			return -ENOMEM;
		r = buf_append(form, text + 1, n - 2);
		if (r == 0)
			r = redact_give(sink, form);
		/* jansson writes \u00E4; most others write \u00e4. */
		for (char *p = text;
		     (flags[i] & JSON_ENSURE_ASCII) && (p = strstr(p, "\\u"));
		     p += 2)
			for (int k = 2; k < 6 && p[k]; k++)
				p[k] |= 0x20;
		if (r == 0)
			r = buf_append(form, text + 1, n - 2);
		if (r == 0)
			r = redact_give(sink, form);
		explicit_bzero(text, n);
		free(text);
	}
	return r;
}

/* --- a value ------------------------------------------------------------- */

static int redact_bytes(const struct redact_sink *sink, const void *bytes,
			size_t len)
{
	_cleanup_(buf_deinit_secret) struct buf form = { 0 };
	int r;

	if (len < REDACT_SECRET_MIN_BYTES)
		return REDACT_FORMS_SHORT;
	r = sink->add(sink->ctx, bytes, len);
	if (r == 0)
		r = redact_base64_forms(sink, bytes, len, &form);
	if (r == 0)
		r = redact_percent_forms(sink, bytes, len, &form);
	if (r == 0)
		r = redact_quoted_forms(sink, bytes, len, &form);
	return r;
}

static int redact_string(const struct redact_sink *sink, const json_t *string)
{
	_cleanup_(buf_deinit_secret) struct buf form = { 0 };
	int r = redact_bytes(sink, json_string_value(string),
			     json_string_length(string));

	return r ? r : redact_json_forms(sink, string, &form);
}

/* Every string below value. A short one is told, and does not end the walk. */
static int redact_strings(const struct redact_sink *sink, json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;
	int r = 0, r_item;

	if (json_is_string(value))
		return redact_string(sink, value);
	json_array_foreach(value, i, item) {
		r_item = redact_strings(sink, item);
		if (r_item < 0)
			return r_item;
		r = MAX(r, r_item);
	}
	json_object_foreach(value, key, item) {
		r_item = redact_strings(sink, item);
		if (r_item < 0)
			return r_item;
		r = MAX(r, r_item);
	}
	return r;
}

/* --- what the parser refuses ---------------------------------------------- */

/*
 * JSON that jansson has no value for: half of a surrogate pair, a number out
 * of range. Scripts may read it all the same, so its strings are masked one by
 * one, and of those that are broken themselves what lies between the escapes.
 */

/* From behind the opening quote; the length to the closing one. */
static size_t redact_token_len(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && s[i] != '"')
		i += s[i] == '\\' ? 2 : 1;
	return MIN(i, len);
}

static int redact_pieces(const struct redact_sink *sink, const char *s,
			 size_t len)
{
	int r = 0, r_piece;

	for (size_t i = 0, end; i < len; i = end + 1) {
		const char *escape = memchr(s + i, '\\', len - i);

		end = escape ? (size_t)(escape - s) : len;
		r_piece = redact_bytes(sink, s + i, end - i);
		if (r_piece < 0)
			return r_piece;
		if (escape && end + 1 < len)
			end += s[end + 1] == 'u' ? 5 : 1;
		r = MAX(r, r_piece);
	}
	return r;
}

static int redact_token(const struct redact_sink *sink, const char *s,
			size_t len)
{
	_cleanup_json_ json_t *string = json_loadb(
		s - 1, len + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	return string ? redact_string(sink, string)
		      : redact_pieces(sink, s, len);
}

/* The string that ends at i is the name of a member. */
static bool redact_is_name(const char *text, size_t i, size_t len)
{
	for (i++; i < len && strchr(" \t\r\n", text[i]); i++)
		;
	return i < len && text[i] == ':';
}

static int redact_tokens(const struct redact_sink *sink, const char *text,
			 size_t len)
{
	int r = 0, r_token;

	for (size_t i = 0, n; i < len; i++) {
		if (text[i] != '"')
			continue;
		i++;
		n = redact_token_len(text + i, len - i);
		if (i + n == len)
			break; /* no closing quote: no JSON either */
		if (!redact_is_name(text, i + n, len)) {
			r_token = redact_token(sink, text + i, n);
			if (r_token < 0)
				return r_token;
			r = MAX(r, r_token);
		}
		i += n;
	}
	return r;
}

/* Also as it is stored, which a script may print: with other escapes than ours.
 * The quotes are no part of the secret. */
static int redact_whole_string(const struct redact_sink *sink,
			       const json_t *string, const char *text,
			       size_t len)
{
	int r = redact_string(sink, string);

	while (len && *text != '"')
		text++, len--;
	while (len && text[len - 1] != '"')
		len--;
	if (r || len < 2)
		return r;
	return sink->add(sink->ctx, (const uint8_t *)text + 1, len - 2);
}

int redact_forms(const void *value, size_t len,
		 int (*add)(void *ctx, const uint8_t *bytes, size_t len),
		 void *ctx)
{
	const struct redact_sink sink = { add, ctx };
	_cleanup_json_ json_t *parsed = json_loadb(
		value, len,
		JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL,
		NULL);
	int r, r_parts;

	if (json_is_string(parsed))
		return redact_whole_string(&sink, parsed, value, len);
	r = redact_bytes(&sink, value, len);
	if (r < 0)
		return r;
	r_parts = parsed ? redact_strings(&sink, parsed)
			 : redact_tokens(&sink, value, len);
	return r_parts < 0 ? r_parts : MAX(r, r_parts);
}
