#include "cli/dev_assign.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "cli/dev_fixtures.h"
#include "cli/dev_state.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/token.h"

#define ISSUER "cronium-dev"

static int mint(const struct dev_assign *a, const struct dev_state *state,
		const struct token_key *key, const char *audience,
		struct buf *out)
{
	char id[ID_MAX_BYTES];
	struct token_claims claims = state->claims;
	int64_t now_s = clock_wall_s();
	int r;

	id_new("tok", id);
	claims.issuer = (char *)(uintptr_t)ISSUER;
	claims.audience = (char *)(uintptr_t)audience;
	claims.subject = (char *)(uintptr_t)a->execution;
	claims.job = (char *)(uintptr_t)a->job;
	claims.id = id;
	claims.issued_s = claims.not_before_s = now_s;
	claims.expires_s = now_s + DEV_TOKEN_S;
	r = token_mint(key, &claims, out);
	return r < 0 || buf_cstr(out) ? r : -ENOMEM;
}

/* As GET /context of a job has it; the fixtures' members over it. */
static int make_context(const struct dev_assign *a, struct dev_state *state,
			const char *name)
{
	state->context = json_pack(
		"{s:s,s:s,s:s,s:n,s:i,s:s,s:s,s:n,s:{},s:n,s:b,s:b,s:n,s:s}",
		"job", a->job, "execution", a->execution, "name", name, "event",
		"attempt", 1, "trigger", "api", "executor", "dev",
		"deadline_ms", "labels", "session", "dry_run", 0, "read_only",
		0, "parent", "trace_id", a->trace);
	if (!state->context)
		return -ENOMEM;
	return !state->fixtures->context ? 0
	       : json_object_update(
			 state->context,
			 (json_t *)(uintptr_t)state->fixtures->context) < 0
		       ? -ENOMEM
		       : 0;
}

/* Nothing is cached and nothing limited, so that everything is seen. */
static json_t *limits(void)
{
	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "cache_ttl_ms", 0,
			 "cache_bytes", 0, "forward_per_min", 0,
			 "forward_burst", 0, "tools_per_min", 0, "tools_burst",
			 0);
}

static int make_text(struct dev_assign *a, const struct dev_state *state,
		     const struct token_key *key)
{
	_cleanup_(buf_deinit) struct buf pem = { 0 };
	_cleanup_json_ json_t *o = NULL;
	int r = token_key_public_pem(key, &pem);

	if (r < 0)
		return r;
	o = json_pack("{s:s,s:s,s:s,s:s,s:s%,s:O,s:I,s:o}", "execution",
		      a->execution, "job", a->job, "issuer", ISSUER,
		      "backend_token", (char *)a->backend_token.data,
		      "public_key", (char *)pem.data, pem.len, "context",
		      state->context, "input_bytes", (json_int_t)a->input.len,
		      "limits", limits());
	return o ? json_append(&a->text, o) : -ENOMEM;
}

int dev_assign_make(struct dev_assign *a, struct dev_state *state,
		    const char *name)
{
	_cleanup_(token_key_freep) struct token_key *key = NULL;
	const char *slash = strrchr(name, '/');
	int r;

	id_new("ex", a->execution);
	id_new("job", a->job);
	trace_new(a->trace);
	if ((r = token_key_generate(&key)) ||
	    (r = mint(a, state, key, "runtime", &a->runtime_token)) ||
	    (r = mint(a, state, key, "backend", &a->backend_token)) ||
	    (r = make_context(a, state, slash ? slash + 1 : name)))
		return r;
	if (state->fixtures->input)
		r = json_append(&a->input, state->fixtures->input);
	return r ? r : make_text(a, state, key);
}

void dev_assign_deinit(struct dev_assign *a)
{
	buf_deinit_secret(&a->runtime_token);
	buf_deinit_secret(&a->backend_token);
	buf_deinit_secret(&a->text);
	buf_deinit_secret(&a->input);
}
