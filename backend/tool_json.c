#include "backend/tool_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

#define TOOL_JSON_2_63 9223372036854775808.0

/* The integer i against a real: as a double it might be rounded. */
static int tool_compare_with_real(json_int_t i, double d)
{
	json_int_t whole;

	if (d >= TOOL_JSON_2_63)
		return -1;
	if (d < -TOOL_JSON_2_63)
		return 1;
	whole = (json_int_t)d;
	if (i != whole)
		return i < whole ? -1 : 1;
	return (double)whole < d ? -1 : (double)whole > d;
}

int tool_json_compare_numbers(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b))
		return (json_integer_value(a) > json_integer_value(b)) -
		       (json_integer_value(a) < json_integer_value(b));
	if (json_is_integer(a))
		return tool_compare_with_real(json_integer_value(a),
					      json_real_value(b));
	if (json_is_integer(b))
		return -tool_compare_with_real(json_integer_value(b),
					       json_real_value(a));
	return (json_real_value(a) > json_real_value(b)) -
	       (json_real_value(a) < json_real_value(b));
}

static bool tool_equal_to(const json_t *a, const json_t *b, unsigned int left);

static bool tool_equal_arrays(const json_t *a, const json_t *b,
			      unsigned int left)
{
	if (json_array_size(a) != json_array_size(b))
		return false;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (!tool_equal_to(json_array_get(a, i), json_array_get(b, i),
				   left))
			return false;
	return true;
}

static bool tool_equal_objects(const json_t *a, const json_t *b,
			       unsigned int left)
{
	const char *key;
	json_t *value;

	if (json_object_size(a) != json_object_size(b))
		return false;
	json_object_foreach((json_t *)a, key, value) {
		const json_t *other = json_object_get(b, key);

		if (!other || !tool_equal_to(value, other, left))
			return false;
	}
	return true;
}

static bool tool_equal_to(const json_t *a, const json_t *b, unsigned int left)
{
	if (json_is_number(a) && json_is_number(b))
		return tool_json_compare_numbers(a, b) == 0;
	if (json_typeof(a) != json_typeof(b) || left == 0)
		return false;
	if (json_is_array(a))
		return tool_equal_arrays(a, b, left - 1);
	if (json_is_object(a))
		return tool_equal_objects(a, b, left - 1);
	return json_equal(a, b);
}

bool tool_json_equal(const json_t *a, const json_t *b)
{
	return tool_equal_to(a, b, TOOL_JSON_DEPTH_MAX + 1);
}

/* The fewest digits that give the same number; "1.0", not "1". */
static int tool_append_real(struct buf *out, double d)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	if (!strpbrk(text, ".e"))
		strcat(text, ".0");
	return buf_append_str(out, text);
}

static int tool_append_to(struct buf *out, const json_t *v, unsigned int left);

static int tool_append_array(struct buf *out, const json_t *v,
			     unsigned int left)
{
	const json_t *item;
	size_t i;
	int r = buf_append(out, "[", 1);

	json_array_foreach(v, i, item) {
		if (r == 0 && i > 0)
			r = buf_append(out, ",", 1);
		if (r == 0)
			r = tool_append_to(out, item, left);
	}
	return r ? r : buf_append(out, "]", 1);
}

static int tool_append_object(struct buf *out, const json_t *v,
			      unsigned int left)
{
	const char *key, *comma = "";
	json_t *value;
	int r = buf_append(out, "{", 1);

	json_object_foreach((json_t *)v, key, value) {
		if (r == 0)
			r = buf_append_str(out, comma);
		if (r == 0)
			r = json_append_string(out, key, strlen(key));
		if (r == 0)
			r = buf_append(out, ":", 1);
		if (r == 0)
			r = tool_append_to(out, value, left);
		comma = ",";
	}
	return r ? r : buf_append(out, "}", 1);
}

static int tool_append_to(struct buf *out, const json_t *v, unsigned int left)
{
	if (left == 0 && (json_is_array(v) || json_is_object(v)))
		return -EINVAL;
	if (json_is_array(v))
		return tool_append_array(out, v, left - 1);
	if (json_is_object(v))
		return tool_append_object(out, v, left - 1);
	if (json_is_string(v))
		return json_append_string(out, json_string_value(v),
					  json_string_length(v));
	if (json_is_real(v))
		return tool_append_real(out, json_real_value(v));
	return json_append(out, v);
}

int tool_json_append(struct buf *out, const json_t *v)
{
	size_t before = out->len;
	int r = tool_append_to(out, v, TOOL_JSON_DEPTH_MAX + 1);

	if (r)
		out->len = before;
	return r;
}
