#include "backend/live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/store.h"

/* How many an agent has; gone with the last of them. */
struct live_agent {
	char name[LIVE_AGENT_MAX_BYTES];
	size_t n;
	UT_hash_handle hh;
};

struct live {
	struct live_execution *by_id;
	struct live_execution *by_job; /* the same */
	struct live_agent *agents;
	struct live_token *by_digest;
};

int live_new(struct live **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void live_token_forget(struct live *l, struct live_token *t)
{
	HASH_DEL(l->by_digest, t);
	live_token_unref(t);
}

static struct live_agent *live_agent_find(const struct live *l,
					  const char *name)
{
	struct live_agent *a;

	HASH_FIND_STR(l->agents, name, a);
	return a;
}

static int live_agent_take(struct live *l, const char *name)
{
	struct live_agent *a = live_agent_find(l, name);

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		snprintf(a->name, sizeof(a->name), "%s", name);
		HASH_ADD_STR(l->agents, name, a);
		if (!a->hh.tbl) {
			free(a);
			return -ENOMEM;
		}
	}
	a->n++;
	return 0;
}

static void live_agent_give(struct live *l, const char *name)
{
	struct live_agent *a = live_agent_find(l, name);

	if (--a->n)
		return;
	HASH_DEL(l->agents, a);
	free(a);
}

static void live_remove(struct live *l, struct live_execution *x)
{
	live_agent_give(l, x->agent);
	HASH_DEL(l->by_id, x);
	HASH_DELETE(of_job, l->by_job, x);
	for (size_t i = 0; i < x->n_tokens; i++)
		live_token_forget(l, x->tokens[i]);
	free(x->cancel_reason);
	free(x);
}

void live_free(struct live *l)
{
	struct live_execution *x, *tmp;

	if (!l)
		return;
	HASH_ITER(hh, l->by_id, x, tmp)
	live_remove(l, x);
	free(l);
}

struct live_execution *live_find(const struct live *l, const char *execution)
{
	struct live_execution *x;

	HASH_FIND_STR(l->by_id, execution, x);
	return x;
}

struct live_execution *live_find_job(const struct live *l, const char *job)
{
	struct live_execution *x;

	HASH_FIND(of_job, l->by_job, job, strlen(job), x);
	return x;
}

static struct live_execution *live_add(struct live *l,
				       const struct store_job *job)
{
	struct live_execution *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	snprintf(x->id, sizeof(x->id), "%s", job->execution);
	snprintf(x->job, sizeof(x->job), "%s", job->id);
	snprintf(x->agent, sizeof(x->agent), "%s",
		 job->agent ? job->agent : "");
	snprintf(x->session, sizeof(x->session), "%s",
		 job->session ? job->session : "");
	x->epoch = job->epoch;
	if (live_agent_take(l, x->agent)) {
		free(x);
		return NULL;
	}
	HASH_ADD_STR(l->by_id, id, x);
	if (x->hh.tbl)
		HASH_ADD(of_job, l->by_job, job, strlen(x->job), x);
	if (x->hh.tbl && !x->of_job.tbl)
		HASH_DEL(l->by_id, x);
	if (!x->hh.tbl || !x->of_job.tbl) {
		live_agent_give(l, x->agent);
		free(x);
		return NULL;
	}
	return x;
}

/* Of an execution that is over nobody may have told: with another backend the
 * job has gone on. */
static void live_remove_older(struct live *l, const struct store_job *job)
{
	struct live_execution *x = live_find_job(l, job->id);

	if (x && job->execution && x->epoch < job->epoch)
		live_remove(l, x);
}

int live_update(struct live *l, const struct store_job *job)
{
	struct live_execution *x = job->execution ? live_find(l, job->execution)
						  : NULL;

	live_remove_older(l, job);
	if (!job_state_live(job->state)) {
		if (x)
			live_remove(l, x);
		return 0;
	}
	if (!x)
		x = live_add(l, job);
	if (!x)
		return -ENOMEM;
	x->started = job->state == JOB_RUNNING;
	x->cancel_requested = job->cancel_requested;
	if (job->cancel_reason && !x->cancel_reason)
		x->cancel_reason = strdup(job->cancel_reason);
	return 0;
}

void live_assume_bound(struct live *l)
{
	for (struct live_execution *x = l->by_id; x; x = x->hh.next)
		x->has_bound = true;
}

size_t live_count(const struct live *l)
{
	return HASH_COUNT(l->by_id);
}

size_t live_count_agent(const struct live *l, const char *agent)
{
	const struct live_agent *a = live_agent_find(l, agent);

	return a ? a->n : 0;
}

void live_foreach(const struct live *l,
		  void (*fn)(struct live_execution *x, void *ctx), void *ctx)
{
	for (struct live_execution *x = l->by_id; x; x = x->hh.next)
		fn(x, ctx);
}

void live_foreach_agent(const struct live *l, const char *agent,
			void (*fn)(struct live_execution *x, void *ctx),
			void *ctx)
{
	for (struct live_execution *x = l->by_id; x; x = x->hh.next)
		if (!strcmp(x->agent, agent))
			fn(x, ctx);
}

/* --- tokens -------------------------------------------------------------- */

struct live_token *live_token_add(struct live *l, struct live_execution *x,
				  const uint8_t digest[TOKEN_DIGEST_BYTES],
				  struct token_claims *claims)
{
	struct live_token *t = calloc(1, sizeof(*t));

	if (!t) {
		token_claims_deinit(claims);
		return NULL;
	}
	memcpy(t->digest, digest, sizeof(t->digest));
	HASH_ADD(hh, l->by_digest, digest, TOKEN_DIGEST_BYTES, t);
	if (!t->hh.tbl) {
		token_claims_deinit(claims);
		free(t);
		return NULL;
	}
	t->claims = *claims;
	t->refs = 1;
	if (x->n_tokens == LIVE_TOKENS_MAX) {
		live_token_forget(l, x->tokens[0]);
		memmove(x->tokens, x->tokens + 1,
			--x->n_tokens * sizeof(x->tokens[0]));
	}
	x->tokens[x->n_tokens++] = t;
	return t;
}

struct live_token *live_token_find(const struct live *l,
				   const uint8_t digest[TOKEN_DIGEST_BYTES])
{
	struct live_token *t;

	HASH_FIND(hh, l->by_digest, digest, TOKEN_DIGEST_BYTES, t);
	return t;
}

struct live_token *live_token_ref(struct live_token *t)
{
	t->refs++;
	return t;
}

void live_token_unref(struct live_token *t)
{
	if (!t || --t->refs > 0)
		return;
	token_claims_deinit(&t->claims);
	free(t);
}
