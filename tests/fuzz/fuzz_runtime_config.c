/*
 * A runtime block, as arbitrary JSON. What is refused says why; the normal
 * form of what is accepted is accepted again unchanged.
 */
#include <assert.h>
#include <string.h>

#include "common/json.h"
#include "common/runtime_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_accepted(const struct runtime_config *c)
{
	json_t *normal = runtime_config_json(c), *second;
	struct runtime_config *again = NULL;
	struct buf why = { 0 };

	assert(normal);
	assert(runtime_config_from_json(&again, RUNTIME_KIND_JOB, normal,
					&why) == 0);
	assert(why.len == 0);
	second = runtime_config_json(again);
	assert(json_equal(normal, second));
	json_decref(normal);
	json_decref(second);
	runtime_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *in = json_loadb((const char *)data, len, JSON_DECODE_ANY, NULL);
	struct runtime_config *c = NULL;
	struct buf why = { 0 };
	int r;

	if (!in)
		return 0;
	r = runtime_config_from_json(&c, RUNTIME_KIND_JOB, in, &why);
	assert(r >= 0);
	assert((r == 0) == (why.len == 0));
	assert((r == 0) == (c != NULL));
	if (c)
		check_accepted(c);
	runtime_config_free(c);
	buf_deinit(&why);
	json_decref(in);
	return 0;
}
