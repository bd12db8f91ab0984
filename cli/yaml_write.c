#include "cli/yaml_write.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"

static int write_value(struct buf *out, const json_t *v, int indent);

/* A plain scalar is a word that means nothing else. */
static bool is_plain(const char *s, size_t len)
{
	static const char *const meanings[] = { "null", "true", "false" };

	if (!len || !isalpha((unsigned char)*s))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_-./", s[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (!strcmp(s, meanings[i]))
			return false;
	return true;
}

/* Bytes of the character at s (valid UTF-8), which YAML does not want to see
 * as it is; 0: it does. */
static size_t unprintable(const unsigned char *s, unsigned int *code)
{
	*code = *s;
	if (*s < 0x20 || *s == 0x7f)
		return 1;
	if (*s == 0xc2 && s[1] < 0xa0) { /* U+0080 to U+009F */
		*code = s[1];
		return 2;
	}
	if (*s == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) {
		*code = 0x2000 + (s[2] & 0x3fu);
		return 3;
	}
	if (*s == 0xef && ((s[1] == 0xbb && s[2] == 0xbf) ||
			   (s[1] == 0xbf && s[2] >= 0xbe))) {
		*code = s[1] == 0xbb ? 0xfeff : 0xff40 + s[2];
		return 3;
	}
	return 0;
}

static int write_quoted(struct buf *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;
	int r = buf_append(out, "\"", 1);

	while (!r && s < end) {
		unsigned int code;
		size_t n = unprintable(s, &code);

		if (n)
			r = buf_printf(out, "\\u%04X", code);
		else if (*s == '"' || *s == '\\')
			r = buf_printf(out, "\\%c", *s);
		else
			r = buf_append(out, s, 1);
		s += n ? n : 1;
	}
	return r ? r : buf_append(out, "\"", 1);
}

static int write_string(struct buf *out, const char *s, size_t len)
{
	return is_plain(s, len) ? buf_append(out, s, len)
				: write_quoted(out, s, len);
}

static int write_break(struct buf *out, int indent)
{
	return buf_printf(out, "\n%*s", indent, "");
}

static bool is_nested(const json_t *v)
{
	return json_object_size(v) || json_array_size(v);
}

/* in_item: the first member stands behind a dash. */
static int write_object(struct buf *out, const json_t *v, int indent,
			bool in_item)
{
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)v, name, value) {
		if (!in_item)
			r |= write_break(out, indent);
		in_item = false;
		r |= write_string(out, name, strlen(name));
		r |= buf_append(out, ":", 1);
		if (!is_nested(value))
			r |= buf_append(out, " ", 1);
		r |= write_value(out, value, indent + 2);
	}
	return r;
}

static int write_array(struct buf *out, const json_t *v, int indent)
{
	const json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach(v, i, item) {
		r |= write_break(out, indent);
		if (json_object_size(item)) {
			r |= buf_append(out, "- ", 2);
			r |= write_object(out, item, indent + 2, true);
		} else {
			r |= buf_append(out, json_array_size(item) ? "-" : "- ",
					json_array_size(item) ? 1 : 2);
			r |= write_value(out, item, indent + 2);
		}
	}
	return r;
}

static int write_value(struct buf *out, const json_t *v, int indent)
{
	if (json_object_size(v))
		return write_object(out, v, indent, false);
	if (json_array_size(v))
		return write_array(out, v, indent);
	if (json_is_string(v))
		return write_string(out, json_string_value(v),
				    json_string_length(v));
	return json_append(out, v);
}

int yaml_write(struct buf *out, const json_t *value)
{
	int r;

	if (json_object_size(value))
		r = write_object(out, value, 0, true);
	else
		r = write_value(out, value, 0);
	if (!r)
		r = buf_append(out, "\n", 1);
	return r ? -ENOMEM : 0;
}
