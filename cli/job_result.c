#include "cli/job_result.h"

#include "cli/job_output.h"
#include "cli/job_view.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/json.h"

int job_result_print_json(const json_t *job, const struct buf *output)
{
	int64_t took = job_view_duration_ms(job, clock_wall_ms());
	_cleanup_json_ json_t *head = json_pack(
		"{s:O,s:O,s:O?,s:O?,s:O?,s:O?,s:I,s:o}", "job",
		json_object_get(job, "id"), "state",
		json_object_get(job, "state"), "reason",
		json_object_get(job, "reason"), "exit_code",
		json_object_get(job, "exit_code"), "signal",
		json_object_get(job, "signal"), "executor",
		json_object_get(job, "executor"), "log_dropped_bytes",
		(json_int_t)json_get_int(job, "log_dropped_bytes", 0),
		"duration_ms", took < 0 ? json_null() : json_integer(took));
	struct buf text = { 0 };
	int r = head ? json_append(&text, head) : -1;

	if (!r) {
		text.len--; /* the closing brace */
		r = buf_append_str(&text, ",\"output\":");
	}
	if (!r && output->len)
		r = buf_append(&text, output->data, output->len);
	else if (!r)
		r = buf_append_str(&text, "null");
	if (!r)
		r = buf_append_str(&text, "}\n");
	if (!r)
		r = job_output_write(&text);
	buf_deinit(&text);
	return r;
}

void job_result_explain(const json_t *job)
{
	char sentence[512], took[32];
	const char *state = json_get_str(job, "state", "?");

	if (job_view_sentence(job, sentence, sizeof(sentence))) {
		output_error("%s", sentence);
		return;
	}
	output_note("%s in %s", state,
		    output_duration(job_view_duration_ms(job, clock_wall_ms()),
				    took, sizeof(took)));
}
