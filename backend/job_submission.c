#include "backend/job_submission.h"

#include <errno.h>
#include <string.h>

#include "backend/job_payload.h"
#include "backend/job_spec.h"
#include "backend/json_span.h"
#include "common/base64.h"
#include "common/frame.h"
#include "common/json.h"
#include "payload/read.h"

const char *job_submission_code(int e)
{
	switch (e) {
	case JOB_SUBMISSION_E_JSON:
		return "invalid_json";
	case JOB_SUBMISSION_E_FRAMES:
		return "invalid_frames";
	case JOB_SUBMISSION_E_SPEC:
		return "invalid_spec";
	case JOB_SUBMISSION_E_PAYLOAD:
		return "invalid_payload";
	case JOB_SUBMISSION_E_TOO_LARGE:
		return "too_large";
	}
	return "internal";
}

void job_submission_deinit(struct job_submission *s)
{
	json_decref(s->spec);
	buf_deinit(&s->script);
	buf_deinit(&s->input);
	buf_deinit(&s->signature);
}

/* Appends the sentence; gives back e, or -ENOMEM. */
static int refuse(struct buf *why, int e, const char *sentence)
{
	return buf_append_str(why, sentence) ? -ENOMEM : e;
}

/* --- what both forms have in common -------------------------------------- */

/* The script is there: the specification, which may follow from it. */
static int parse_spec(struct job_submission *out, json_t *members,
		      struct buf *why)
{
	int r = 0;

	if (json_is_true(json_object_get(members, "payload")))
		r = job_payload_apply(members, out->script.data,
				      out->script.len, why);
	else if (payload_is_archive(out->script.data, out->script.len))
		return refuse(why, JOB_SUBMISSION_E_SPEC,
			      "script: is an archive; \"payload\":true runs "
			      "what its manifest.yaml names");
	if (r)
		return r == JOB_PAYLOAD_E_INVALID ? JOB_SUBMISSION_E_PAYLOAD
						  : r;
	r = job_spec_parse(members, &out->spec, why);
	return r == JOB_SPEC_E_INVALID ? JOB_SUBMISSION_E_SPEC : r;
}

static int take_script(struct job_submission *out, const void *data, size_t len,
		       const struct job_submission_limits *limits,
		       struct buf *why)
{
	if (len > limits->script_bytes)
		return buf_printf(why,
				  "the script has %zu bytes; the limit is "
				  "%llu",
				  len, (unsigned long long)limits->script_bytes)
			       ? -ENOMEM
			       : JOB_SUBMISSION_E_TOO_LARGE;
	if (len == 0)
		return refuse(why, JOB_SUBMISSION_E_SPEC, "script: is empty");
	return buf_append(&out->script, data, len);
}

static int take_input(struct job_submission *out, const void *data, size_t len,
		      const struct job_submission_limits *limits,
		      struct buf *why)
{
	size_t at;

	if (len > limits->input_bytes)
		return buf_printf(why,
				  "the input has %zu bytes; the limit is %llu "
				  "(--max-input-bytes)",
				  len, (unsigned long long)limits->input_bytes)
			       ? -ENOMEM
			       : JOB_SUBMISSION_E_TOO_LARGE;
	if (json_check(data, len, &at))
		return buf_printf(why,
				  "the input is not one JSON value: byte %zu",
				  at)
			       ? -ENOMEM
			       : JOB_SUBMISSION_E_JSON;
	return buf_append(&out->input, data, len);
}

/* --- JSON ---------------------------------------------------------------- */

static int take_base64(struct job_submission *out, const json_t *text,
		       const struct job_submission_limits *limits,
		       struct buf *why)
{
	size_t len = json_string_length(text);
	_cleanup_free_ uint8_t *data = malloc(BASE64_DECODED_MAX(len));
	ssize_t n;

	if (!data)
		return -ENOMEM;
	n = base64_decode(json_string_value(text), len, data);
	if (n < 0)
		return refuse(why, JOB_SUBMISSION_E_SPEC,
			      "script: content_base64 is not base64 (RFC 4648, "
			      "with padding)");
	return take_script(out, data, (size_t)n, limits, why);
}

/* Either of the members that it can be in. */
static int take_content(struct job_submission *out, const json_t *script,
			const struct job_submission_limits *limits,
			struct buf *why)
{
	const json_t *content = json_object_get(script, "content");
	const json_t *base64 = json_object_get(script, "content_base64");

	if (json_is_string(base64) && !content)
		return take_base64(out, base64, limits, why);
	if (!json_is_string(content) || base64)
		return refuse(why, JOB_SUBMISSION_E_SPEC,
			      "script: must be an object with the string "
			      "\"content\" or \"content_base64\", and "
			      "\"name\"");
	return take_script(out, json_string_value(content),
			   json_string_length(content), limits, why);
}

/* Of a payload it is the archive's name, not that of the file to run. */
static int take_script_name(json_t *members, json_t *name)
{
	bool payload = json_is_true(json_object_get(members, "payload"));

	if (!name || (payload && json_object_get(members, "name")))
		return 0;
	return json_object_set(members, payload ? "name" : "script_name", name)
		       ? -ENOMEM
		       : 0;
}

/* The script's members move to where job_spec.h and take_script() want
 * them. */
static int take_json_script(struct job_submission *out, json_t *members,
			    const struct job_submission_limits *limits,
			    struct buf *why)
{
	_cleanup_json_ json_t *script = json_incref(
		json_object_get(members, "script"));
	const char *key;
	json_t *v;
	int r = take_content(out, script, limits, why);

	if (r)
		return r;
	json_object_foreach(script, key, v)
		if (strcmp(key, "content") && strcmp(key, "content_base64") &&
		    strcmp(key, "name"))
			return buf_printf(why,
					  "script: %.80s is not a known "
					  "member",
					  key)
				       ? -ENOMEM
				       : JOB_SUBMISSION_E_SPEC;
	if (json_object_del(members, "script"))
		return -ENOMEM;
	return take_script_name(members, json_object_get(script, "name"));
}

/* Of the script's text, as it is written. */
static size_t script_bytes(const char *text, size_t len)
{
	static const char *const names[] = { "content", "content_base64" };
	struct json_span script, content;

	if (!json_span_find(text, len, "script", &script))
		return 0;
	text += script.start;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_span_find(text, script.len, names[i], &content) &&
		    text[content.start] == '"')
			return content.len;
	return 0;
}

static int check_spec_bytes(size_t len, struct buf *why)
{
	if (len <= JOB_SUBMISSION_SPEC_MAX_BYTES)
		return 0;
	return buf_printf(why,
			  "the job has %zu bytes beside its script and its "
			  "input; the limit is %d",
			  len, JOB_SUBMISSION_SPEC_MAX_BYTES)
		       ? -ENOMEM
		       : JOB_SUBMISSION_E_TOO_LARGE;
}

static int parse_object(const char *text, size_t len, struct buf *why,
			json_t **members)
{
	char err[256];
	int r = check_spec_bytes(len - script_bytes(text, len), why);

	if (r)
		return r;
	*members = json_parse_object(text, len, err, sizeof(err));
	return *members ? 0 : refuse(why, JOB_SUBMISSION_E_JSON, err);
}

/* Cuts the input out of the text and parses the rest. */
static int parse_members(struct job_submission *out, const char *text,
			 size_t len, const struct job_submission_limits *limits,
			 struct buf *why, json_t **members)
{
	struct json_span input;
	struct buf rest = { 0 };
	int r;

	if (!json_span_find(text, len, "input", &input)) {
		r = parse_object(text, len, why, members);
		if (!r && json_object_get(*members, "input"))
			return refuse(why, JOB_SUBMISSION_E_JSON,
				      "the member input must be written "
				      "without escapes");
		return r ? r : buf_append_str(&out->input, "null");
	}
	r = take_input(out, text + input.start, input.len, limits, why);
	if (!r)
		r = buf_append(&rest, text, input.start);
	if (!r)
		r = buf_append_str(&rest, "null");
	if (!r)
		r = buf_append(&rest, text + input.start + input.len,
			       len - input.start - input.len);
	if (!r)
		r = parse_object((const char *)rest.data, rest.len, why,
				 members);
	if (!r && json_object_del(*members, "input"))
		r = -ENOMEM;
	buf_deinit(&rest);
	return r;
}

int job_submission_parse_json(struct job_submission *out, const void *body,
			      size_t len,
			      const struct job_submission_limits *limits,
			      struct buf *why)
{
	_cleanup_json_ json_t *members = NULL;
	size_t at;
	int r;

	*out = (struct job_submission){ 0 };
	if (json_check(body, len, &at))
		return buf_printf(why, "the body is not JSON: byte %zu", at)
			       ? -ENOMEM
			       : JOB_SUBMISSION_E_JSON;
	r = parse_members(out, body, len, limits, why, &members);
	if (!r)
		r = take_json_script(out, members, limits, why);
	return r ? r : parse_spec(out, members, why);
}

/* --- frames -------------------------------------------------------------- */

static int take_frame(struct job_submission *out, const struct frame *f,
		      const struct job_submission_limits *limits,
		      struct buf *why, json_t **members)
{
	char err[256];
	int r;

	switch (f->type) {
	case FRAME_SPEC:
		if (*members)
			break;
		r = check_spec_bytes(f->len, why);
		if (r)
			return r;
		*members = json_parse_object(f->payload, f->len, err,
					     sizeof(err));
		return *members ? 0 : refuse(why, JOB_SUBMISSION_E_JSON, err);
	case FRAME_SCRIPT:
		if (out->script.len)
			break;
		return take_script(out, f->payload, f->len, limits, why);
	case FRAME_INPUT:
		if (out->input.len)
			break;
		return take_input(out, f->payload, f->len, limits, why);
	default:
		break;
	}
	return buf_printf(why,
			  "the frame %s has no place here, or is there twice",
			  frame_type_name((uint8_t)f->type))
		       ? -ENOMEM
		       : JOB_SUBMISSION_E_FRAMES;
}

static int take_frames(struct job_submission *out, struct frame_decoder *d,
		       const struct job_submission_limits *limits,
		       struct buf *why, json_t **members)
{
	struct frame f;
	int r;

	while ((r = frame_decoder_next(d, &f)) == 0) {
		r = take_frame(out, &f, limits, why, members);
		if (r)
			return r;
	}
	if (r == FRAME_E_INVALID || d->in.len > d->taken || d->partial)
		return refuse(why, JOB_SUBMISSION_E_FRAMES,
			      "the frames are malformed or cut off");
	if (r != FRAME_E_AGAIN)
		return r;
	if (!*members || !out->script.len)
		return refuse(why, JOB_SUBMISSION_E_FRAMES,
			      "the frames SPEC and SCRIPT are needed");
	return 0;
}

int job_submission_parse_frames(struct job_submission *out, const void *body,
				size_t len,
				const struct job_submission_limits *limits,
				struct buf *why)
{
	_cleanup_json_ json_t *members = NULL;
	struct frame_decoder d = { 0 };
	int r;

	*out = (struct job_submission){ 0 };
	r = frame_decoder_feed(&d, body, len);
	if (!r)
		r = take_frames(out, &d, limits, why, &members);
	frame_decoder_deinit(&d);
	if (!r && !out->input.len)
		r = buf_append_str(&out->input, "null");
	return r ? r : parse_spec(out, members, why);
}
