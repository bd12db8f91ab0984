/*
 * Arbitrary bytes as YAML and as JSON: what is refused says why, what is
 * accepted is within the limits, and as JSON text it is accepted again and is
 * the same.
 */
#include <assert.h>
#include <string.h>

#include "common/json.h"
#include "common/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_same_as_json(const json_t *v)
{
	char err[YAML_ERROR_MAX_BYTES] = "";
	struct buf text = { 0 };
	json_t *again;
	size_t at;

	assert(json_append(&text, v) == 0);
	assert(json_check(text.data, text.len, &at) == 0);
	if (text.len <= YAML_TEXT_MAX_BYTES) {
		again = yaml_parse_named("a.json", text.data, text.len, err,
					 sizeof(err));
		assert(again && json_equal(v, again));
		json_decref(again);
	}
	buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "a.yaml", "a.json" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char err[YAML_ERROR_MAX_BYTES] = "";
		json_t *v = yaml_parse_named(names[i], data, len, err,
					     sizeof(err));

		assert(!v == (err[0] != '\0'));
		if (v)
			check_same_as_json(v);
		json_decref(v);
	}
	return 0;
}
