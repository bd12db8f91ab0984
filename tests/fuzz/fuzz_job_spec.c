/*
 * What a user submits, as arbitrary bytes: the first byte chooses the form.
 * What is refused says why; what is accepted is complete, and its normal form
 * is accepted again unchanged.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "backend/job_spec.h"
#include "backend/job_submission.h"
#include "common/json.h"
#include "common/runtime_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_normal_form(const json_t *spec)
{
	const char *file = json_get_str(spec, "script_name", "");
	struct buf why = { 0 };
	json_t *again = NULL;

	assert(job_spec_parse(spec, &again, &why) == 0);
	assert(json_equal(spec, again));
	assert(json_get_bool(spec, "payload", false)
		       ? runtime_entrypoint_valid(file)
		       : job_spec_script_name_valid(file));
	json_decref(again);
	buf_deinit(&why);
}

static void check_accepted(const struct job_submission *s)
{
	size_t at;

	assert(s->script.len > 0);
	assert(json_check(s->input.data, s->input.len, &at) == 0);
	check_normal_form(s->spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct job_submission_limits limits = { 4096, 4096 };
	struct job_submission s;
	struct buf why = { 0 };
	bool frames;
	int r;

	if (len == 0)
		return 0;
	frames = data[0] & 1;
	data++;
	len--;
	r = frames ? job_submission_parse_frames(&s, data, len, &limits, &why)
		   : job_submission_parse_json(&s, data, len, &limits, &why);
	assert(r >= 0);
	assert((r == 0) == (why.len == 0));
	if (r == 0)
		check_accepted(&s);
	job_submission_deinit(&s);
	buf_deinit(&why);
	return 0;
}
