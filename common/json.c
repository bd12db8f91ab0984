#include "common/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <yajl/yajl_parse.h>

/* --- UTF-8 --------------------------------------------------------------- */

/* Length of the UTF-8 sequence at s (n bytes are there), 0 if it is none. */
static size_t json_utf8_length(const uint8_t *s, size_t n)
{
	size_t want;
	uint8_t low = 0x80, high = 0xbf;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		want = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		want = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		want = 4;
	else
		return 0;
	/* Over-long forms, surrogates and what lies beyond U+10FFFF. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (n < want || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return want;
}

/* Offset of the first byte that is no UTF-8; len when all is well. */
static size_t json_utf8_check(const uint8_t *s, size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		n = json_utf8_length(s + i, len - i);
		if (!n)
			break;
		i += n;
	}
	return i;
}

bool json_utf8_valid(const char *s, size_t len)
{
	return json_utf8_check((const uint8_t *)s, len) == len;
}

/* --- checking values that pass through ----------------------------------- */

static int json_check_open(void *ctx)
{
	unsigned int *depth = ctx;

	return ++*depth <= JSON_DEPTH_MAX;
}

static int json_check_close(void *ctx)
{
	unsigned int *depth = ctx;

	--*depth;
	return 1;
}

/*
 * yajl does not look whether it got its memory. Where it did not, it is left by
 * a leap out of its allocator, and what it had is freed from this list.
 */
struct json_memory {
	LIST_HEAD(, json_block) blocks;
	jmp_buf none_left;
};

struct json_block {
	LIST_ENTRY(json_block) entry;
	max_align_t data[];
};

static void *json_memory_resize(void *ctx, void *p, size_t n)
{
	struct json_memory *m = ctx;
	struct json_block *block = NULL;

	if (n > SIZE_MAX - sizeof(*block))
		longjmp(m->none_left, 1);
	if (p) {
		block = CONTAINER_OF(p, struct json_block, data);
		LIST_REMOVE(block, entry);
	}
	p = block;
	block = realloc(block, sizeof(*block) + n);
	if (!block) {
		free(p);
		longjmp(m->none_left, 1);
	}
	LIST_INSERT_HEAD(&m->blocks, block, entry);
	return block->data;
}

static void *json_memory_get(void *ctx, size_t n)
{
	return json_memory_resize(ctx, NULL, n);
}

static void json_memory_put(void *ctx, void *p)
{
	struct json_block *block;

	if (!p)
		return;
	block = CONTAINER_OF(p, struct json_block, data);
	LIST_REMOVE(block, entry);
	free(block);
}

static void json_memory_free(struct json_memory *m)
{
	while (!LIST_EMPTY(&m->blocks))
		json_memory_put(m, LIST_FIRST(&m->blocks)->data);
}

static int json_check_syntax(struct json_memory *m, const void *data,
			     size_t len, size_t *at)
{
	static const yajl_callbacks callbacks = {
		.yajl_start_map = json_check_open,
		.yajl_end_map = json_check_close,
		.yajl_start_array = json_check_open,
		.yajl_end_array = json_check_close,
	};
	yajl_alloc_funcs memory = { json_memory_get, json_memory_resize,
				    json_memory_put, m };
	unsigned int depth = 0;
	yajl_handle h = yajl_alloc(&callbacks, &memory, &depth);
	yajl_status status;

	yajl_config(h, yajl_dont_validate_strings, 1);
	status = yajl_parse(h, data, len);
	*at = yajl_get_bytes_consumed(h);
	if (status == yajl_status_ok) {
		status = yajl_complete_parse(h);
		*at = len;
	}
	yajl_free(h);
	return status == yajl_status_ok ? 0 : -EINVAL;
}

int json_check(const void *data, size_t len, size_t *at)
{
	struct json_memory memory;

	/* yajl lets over-long forms and surrogates through. */
	*at = json_utf8_check(data, len);
	if (*at < len)
		return -EINVAL;
	LIST_INIT(&memory.blocks);
	if (!setjmp(memory.none_left))
		return json_check_syntax(&memory, data, len, at);
	json_memory_free(&memory);
	return -ENOMEM;
}

/* --- JSON that we own ---------------------------------------------------- */

/* jansson names an option of its own here, which no user can give. */
static const char *json_error_text(const json_error_t *e)
{
	return json_error_code(e) == json_error_null_character
		       ? "the character \\u0000 is not accepted"
		       : e->text;
}

json_t *json_parse_object(const void *data, size_t len, char *err,
			  size_t err_size)
{
	json_error_t e;
	json_t *o = json_loadb(data, len, JSON_REJECT_DUPLICATES, &e);

	if (!o) {
		snprintf(err, err_size, "%s (line %d, column %d)",
			 json_error_text(&e), e.line, e.column);
		return NULL;
	}
	if (!json_is_object(o)) {
		snprintf(err, err_size, "a JSON object is expected");
		json_decref(o);
		return NULL;
	}
	return o;
}

const char *json_get_str(const json_t *o, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : def;
}

int64_t json_get_int(const json_t *o, const char *key, int64_t def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : def;
}

bool json_get_bool(const json_t *o, const char *key, bool def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

const char *json_type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	default:
		return "null";
	}
}

static int json_append_piece(const char *data, size_t len, void *ctx)
{
	return buf_append(ctx, data, len);
}

int json_append(struct buf *b, const json_t *value)
{
	size_t before = b->len;

	if (json_dump_callback(value, json_append_piece, b,
			       JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		return 0;
	b->len = before;
	return -ENOMEM;
}

int json_append_string(struct buf *b, const char *s, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const uint8_t *p = (const uint8_t *)s, *end = p + len;
	int r = buf_append(b, "\"", 1);

	while (p < end && r == 0) {
		size_t n = json_utf8_length(p, (size_t)(end - p));

		if (n == 0) {
			r = buf_append_str(b, replacement);
			p++;
			continue;
		}
		if (*p == '"' || *p == '\\')
			r = buf_printf(b, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			r = buf_printf(b, "\\u%04x", *p);
		else
			r = buf_append(b, p, n);
		p += n;
	}
	return r < 0 ? r : buf_append(b, "\"", 1);
}
