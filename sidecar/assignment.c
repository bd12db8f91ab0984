#include "sidecar/assignment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/frame.h"
#include "common/json.h"

/* Where the assignment does not say. */
#define CACHE_TTL_MS 300000
#define CACHE_BYTES (4 * 1024 * 1024)
#define OUTPUT_BYTES (10 * 1024 * 1024)
#define VALUE_BYTES (1024 * 1024)
#define FORWARD_PER_MIN 1000
#define FORWARD_BURST 200
#define TOOLS_PER_MIN 60
#define TOOLS_BURST 10
/* A body has to fit a message, and what the client may buffer. */
#define BODY_MAX_BYTES FRAME_MESSAGE_MAX_BYTES

void assignment_deinit(struct assignment *a)
{
	free(a->execution);
	free(a->job);
	free(a->issuer);
	if (a->backend_token)
		explicit_bzero(a->backend_token, strlen(a->backend_token));
	free(a->backend_token);
	free(a->public_key);
	buf_deinit(&a->context);
	buf_deinit_secret(&a->input);
	*a = (struct assignment){ 0 };
}

static int take_string(const json_t *o, const char *name, char **out, char *err,
		       size_t err_size)
{
	const char *s = json_get_str(o, name, "");

	if (!*s) {
		snprintf(err, err_size, "\"%s\" is missing", name);
		return -EINVAL;
	}
	*out = strdup(s);
	return *out ? 0 : -ENOMEM;
}

static uint64_t take_limit(const json_t *o, const char *name, uint64_t initial,
			   uint64_t max)
{
	int64_t v = json_get_int(o, name, -1);

	return v < 0 ? initial : MIN((uint64_t)v, max);
}

static struct rate_limit take_rate(const json_t *o, const char *per_min,
				   uint64_t per_min_initial, const char *burst,
				   uint64_t burst_initial)
{
	return (struct rate_limit){
		.per_min = take_limit(o, per_min, per_min_initial, RATE_MAX),
		.burst = take_limit(o, burst, burst_initial, RATE_MAX),
	};
}

static int take_context(const json_t *o, struct assignment *out)
{
	const json_t *context = json_object_get(o, "context");
	const char *trace = json_get_str(context, "trace_id", "");

	if (trace_id_valid(trace))
		memcpy(out->trace, trace, sizeof(out->trace));
	return context ? json_append(&out->context, context)
		       : buf_append_str(&out->context, "{}");
}

int assignment_parse(struct assignment *out, const void *json, size_t len,
		     char *err, size_t err_size)
{
	_cleanup_json_ json_t *o = json_parse_object(json, len, err, err_size);
	const json_t *limits = json_object_get(o, "limits");
	int r;

	*out = (struct assignment){ 0 };
	if (!o)
		return -EINVAL;
	if ((r = take_string(o, "execution", &out->execution, err, err_size)) ||
	    (r = take_string(o, "job", &out->job, err, err_size)) ||
	    (r = take_string(o, "issuer", &out->issuer, err, err_size)) ||
	    (r = take_string(o, "backend_token", &out->backend_token, err,
			     err_size)) ||
	    (r = take_string(o, "public_key", &out->public_key, err,
			     err_size)) ||
	    (r = take_context(o, out)))
		return r;
	out->keep_ms = take_limit(o, "keep_ms", 0, UINT64_MAX);
	out->input_bytes = take_limit(o, "input_bytes", 0, UINT64_MAX);
	out->cache_ttl_ms = take_limit(limits, "cache_ttl_ms", CACHE_TTL_MS,
				       UINT64_MAX);
	out->cache_bytes = take_limit(limits, "cache_bytes", CACHE_BYTES,
				      UINT64_MAX);
	out->output_bytes = take_limit(limits, "output_bytes", OUTPUT_BYTES,
				       BODY_MAX_BYTES);
	out->value_bytes = take_limit(limits, "value_bytes", VALUE_BYTES,
				      BODY_MAX_BYTES);
	out->rate[RATE_FORWARD] = take_rate(limits, "forward_per_min",
					    FORWARD_PER_MIN, "forward_burst",
					    FORWARD_BURST);
	out->rate[RATE_TOOLS] = take_rate(limits, "tools_per_min",
					  TOOLS_PER_MIN, "tools_burst",
					  TOOLS_BURST);
	return 0;
}
