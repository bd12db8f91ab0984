#include "backend/assign.h"

#include <errno.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/host_spec.h"
#include "backend/job_json.h"
#include "backend/store.h"
#include "common/frame.h"
#include "common/id.h"
#include "common/json.h"

/* The strings of an array, borrowed from it. */
static int patterns_from(const json_t *array, struct token_patterns *out)
{
	size_t i;
	json_t *item;

	out->items = calloc(json_array_size(array) + 1, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	json_array_foreach(array, i, item)
		out->items[out->n++] = (char *)json_string_value(item);
	return 0;
}

static int64_t token_expiry_s(const struct store_job *job, const json_t *spec,
			      int64_t now_s)
{
	int64_t deadline_ms = job_deadline_ms(job, spec);

	return deadline_ms ? deadline_ms / 1000 + ASSIGN_TOKEN_MARGIN_S
			   : now_s + ASSIGN_TOKEN_NO_DEADLINE_S;
}

/* Adds a token for the audience to the document, as member. */
static int assign_token(json_t *doc, const char *member, const char *audience,
			const struct assign_config *config,
			const struct token_claims *common)
{
	char jti[ID_MAX_BYTES];
	struct token_claims claims = *common;
	struct buf text = { 0 };
	int r;

	id_new("tok", jti);
	claims.id = jti;
	claims.audience = (char *)audience;
	r = token_mint(config->key, &claims, &text);
	if (!r &&
	    json_object_set_new(doc, member,
				json_stringn((char *)text.data, text.len)))
		r = -ENOMEM;
	buf_deinit_secret(&text);
	return r;
}

/* What the job asks for, or what its host allows. */
static bool assign_read_only(const struct store_result *claim,
			     const json_t *spec)
{
	return json_get_bool(spec, "read_only", false) ||
	       (claim->claim.host && claim->claim.host->read_only);
}

static int assign_tokens(json_t *doc, const struct assign_config *config,
			 const struct store_result *claim, const json_t *spec,
			 int64_t now_s)
{
	const struct store_job *job = &claim->job;
	struct token_claims c = {
		.issuer = (char *)BACKEND_ISSUER,
		.subject = (char *)job->execution,
		.job = (char *)job->id,
		.issued_s = now_s,
		.not_before_s = now_s,
		.expires_s = token_expiry_s(job, spec, now_s),
		.scopes = TOKEN_SCOPE_INPUT | TOKEN_SCOPE_OUTPUT |
			  TOKEN_SCOPE_VARIABLES | TOKEN_SCOPE_CONDITION |
			  TOKEN_SCOPE_CONTEXT | TOKEN_SCOPE_TOOLS,
		.read_only = assign_read_only(claim, spec),
	};
	int r = patterns_from(json_object_get(spec, "vars_read"), &c.vars_read);

	if (!r)
		r = patterns_from(json_object_get(spec, "vars_write"),
				  &c.vars_write);
	if (!r)
		r = patterns_from(json_object_get(spec, "tools"), &c.tools);
	if (!r)
		r = assign_token(doc, "runtime_token", "runtime", config, &c);
	if (!r)
		r = assign_token(doc, "backend_token", "backend", config, &c);
	free(c.vars_read.items);
	free(c.vars_write.items);
	free(c.tools.items);
	return r;
}

/* What the sidecar lets through. */
static json_t *limits_json(const struct backend_config *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "output_bytes",
			 (json_int_t)c->max_output_bytes, "value_bytes",
			 (json_int_t)c->max_value_bytes, "forward_per_min",
			 (json_int_t)c->rate_forward.per_min, "forward_burst",
			 (json_int_t)c->rate_forward.burst, "tools_per_min",
			 (json_int_t)c->rate_tools.per_min, "tools_burst",
			 (json_int_t)c->rate_tools.burst);
}

/* Without a signature, which somebody took out of the store, no runner takes
 * the program. */
static int assign_signature(json_t *doc, const struct assign_config *config,
			    const struct store_result *claim)
{
	const char *signature = claim->job.signature;

	if (json_object_set_new(doc, "signature",
				signature ? json_string(signature)
					  : json_null()) ||
	    json_object_set_new(doc, "payload_key",
				json_string(config->payload_key)))
		return -ENOMEM;
	return 0;
}

static json_t *assign_host(const struct store_result *claim)
{
	return claim->claim.host ? host_json(claim->claim.host) : json_null();
}

static json_t *assign_json(const struct assign_config *config,
			   const struct store_result *claim, int64_t now_s)
{
	const struct store_job *job = &claim->job;
	json_t *spec = json_loadb(job->spec.data, job->spec.len, 0, NULL);
	json_t *doc = json_pack(
		"{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:I,s:s,s:s,s:o,s:o,s:o}",
		"execution", job->execution, "job", job->id, "created_ms",
		(json_int_t)job->created_ms, "epoch", (json_int_t)job->epoch,
		"attempt", (json_int_t)job->attempt, "lease_ms",
		(json_int_t)config->backend->lease_ms, "deadline_ms",
		(json_int_t)job_deadline_ms(job, spec), "spec", spec,
		"script_bytes", (json_int_t)claim->claim.script.len,
		"input_bytes", (json_int_t)claim->claim.input.len, "issuer",
		BACKEND_ISSUER, "public_key", config->public_pem, "context",
		job_context_json(job, assign_read_only(claim, spec)), "limits",
		limits_json(config->backend), "host", assign_host(claim));

	if (doc && (assign_tokens(doc, config, claim, spec, now_s) ||
		    assign_signature(doc, config, claim))) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

int assign_append(struct buf *out, const struct assign_config *config,
		  const struct store_result *claim, int64_t now_s)
{
	_cleanup_json_ json_t *doc = assign_json(config, claim, now_s);
	struct buf text = { 0 };
	int r = doc ? json_append(&text, doc) : -ENOMEM;

	if (!r)
		r = frame_append(out, FRAME_ASSIGN, text.data, text.len);
	if (!r)
		r = frame_append(out, FRAME_SCRIPT, claim->claim.script.data,
				 claim->claim.script.len);
	if (!r)
		r = frame_append(out, FRAME_INPUT, claim->claim.input.data,
				 claim->claim.input.len);
	buf_deinit_secret(&text);
	return r;
}
