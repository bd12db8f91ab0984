#include "cli/dev_json.h"

#include <stdint.h>

static bool equal(const json_t *a, const json_t *b, bool subset);

static bool equal_numbers(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b))
		return json_integer_value(a) == json_integer_value(b);
	return json_number_value(a) == json_number_value(b);
}

static bool equal_arrays(const json_t *a, const json_t *b, bool subset)
{
	if (json_array_size(a) != json_array_size(b))
		return false;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (!equal(json_array_get(a, i), json_array_get(b, i), subset))
			return false;
	return true;
}

/* All of b in a. */
static bool equal_objects(const json_t *a, const json_t *b, bool subset)
{
	const char *name;
	json_t *value;

	if (!subset && json_object_size(a) != json_object_size(b))
		return false;
	json_object_foreach((json_t *)(uintptr_t)b, name, value) {
		const json_t *mine = json_object_get(a, name);

		if (!mine || !equal(mine, value, subset))
			return false;
	}
	return true;
}

static bool equal(const json_t *a, const json_t *b, bool subset)
{
	if (json_is_object(a) && json_is_object(b))
		return equal_objects(a, b, subset);
	if (json_is_array(a) && json_is_array(b))
		return equal_arrays(a, b, subset);
	if (json_is_number(a) && json_is_number(b))
		return equal_numbers(a, b);
	return json_equal(a, b);
}

bool dev_json_equal(const json_t *a, const json_t *b)
{
	return equal(a, b, false);
}

bool dev_json_includes(const json_t *whole, const json_t *part)
{
	return equal(whole, part, true);
}
