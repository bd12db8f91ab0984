#include "backend/auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <uthash.h>

#include "backend/api.h"
#include "backend/live.h"
#include "backend/metrics.h"
#include "backend/neighbours.h"
#include "backend/refusals.h"
#include "backend/store_admin.h"
#include "common/base64.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/token.h"

#define AUTH_RUNTIME_PREFIX "/v1/runtime/"
#define AUTH_MINUTE_MS 60000
#define AUTH_KEY_RANDOM_BYTES 32

/* An API key, known by its SHA-256: the lookup tells nothing of the key. */
struct auth_key {
	uint8_t hash[STORE_HASH_BYTES];
	char id[ID_MAX_BYTES];
	uint64_t touched_ms; /* monotonic; 0: never by this process */
	UT_hash_handle hh;
};

struct auth {
	struct backend *b;
	struct auth_key *keys;
	uint64_t refusals_since_ms;
	unsigned int refusals; /* since then */
};

static const char auth_tags[AUTH_RUNTIME_SOCKET + 1];

const void *auth_listener_tag(enum auth_listener l)
{
	return &auth_tags[l];
}

int auth_new(struct auth **out, struct backend *b)
{
	struct auth *a = calloc(1, sizeof(*a));
	struct store_api_key first = { .id = "file" };
	int r;

	if (!a)
		return -ENOMEM;
	a->b = b;
	r = token_digest(b->keys.api_key, strlen(b->keys.api_key), first.hash);
	if (!r)
		r = auth_key_add(a, &first);
	if (r) {
		auth_free(a);
		return r;
	}
	*out = a;
	return 0;
}

void auth_free(struct auth *a)
{
	struct auth_key *k, *tmp;

	if (!a)
		return;
	HASH_ITER(hh, a->keys, k, tmp)
	{
		HASH_DEL(a->keys, k);
		free(k);
	}
	free(a);
}

/* --- API keys ------------------------------------------------------------ */

int auth_key_add(struct auth *a, const struct store_api_key *key)
{
	struct auth_key *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	memcpy(k->hash, key->hash, sizeof(k->hash));
	snprintf(k->id, sizeof(k->id), "%s", key->id);
	HASH_ADD(hh, a->keys, hash, sizeof(k->hash), k);
	if (!k->hh.tbl) {
		free(k);
		return -ENOMEM;
	}
	return 0;
}

static bool auth_key_is_in(const struct auth_key *k,
			   const struct store_api_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!memcmp(k->hash, keys[i].hash, sizeof(k->hash)))
			return true;
	return !strcmp(k->id, "file");
}

int auth_keys_replace(struct auth *a, const struct store_api_key *keys,
		      size_t n)
{
	struct auth_key *k, *tmp;
	int r = 0;

	HASH_ITER(hh, a->keys, k, tmp)
	if (!auth_key_is_in(k, keys, n)) {
		HASH_DEL(a->keys, k);
		free(k);
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		HASH_FIND(hh, a->keys, keys[i].hash, sizeof(keys[i].hash), k);
		if (!k)
			r = auth_key_add(a, &keys[i]);
	}
	return r;
}

void auth_key_remove(struct auth *a, const char *id)
{
	struct auth_key *k, *tmp;

	HASH_ITER(hh, a->keys, k, tmp)
	if (!strcmp(k->id, id)) {
		HASH_DEL(a->keys, k);
		free(k);
	}
}

int auth_key_generate(char key[AUTH_KEY_BYTES])
{
	uint8_t random[AUTH_KEY_RANDOM_BYTES];
	size_t len = strlen(AUTH_KEY_PREFIX);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	memcpy(key, AUTH_KEY_PREFIX, len);
	len += base64_url_encode(random, sizeof(random), key + len);
	key[len] = '\0';
	explicit_bzero(random, sizeof(random));
	return 0;
}

static void auth_key_touch(struct auth *a, struct auth_key *k)
{
	uint64_t now = clock_mono_ms();

	if (k->touched_ms && now - k->touched_ms < AUTH_KEY_TOUCH_MS)
		return;
	k->touched_ms = now;
	/* Only a convenience: a store that is busy loses nothing by it. */
	if (strcmp(k->id, "file") &&
	    store_api_key_touch(a->b->store, k->id, (struct store_done){ 0 }))
		k->touched_ms = 0;
}

/* --- refusals ------------------------------------------------------------ */

/* Guessing must not fill the disk. An execution has a minute of its own, so
 * that it hides nobody else's refusals. */
static bool auth_may_audit(struct auth *a, const struct store_audit *entry)
{
	uint64_t now = clock_mono_ms();

	if (entry->execution)
		return refusals_count(a->b->refusals, entry) == 0;
	if (now - a->refusals_since_ms > AUTH_MINUTE_MS) {
		a->refusals_since_ms = now;
		a->refusals = 0;
	}
	return ++a->refusals <= AUTH_REFUSALS_PER_MIN;
}

void auth_audit_refusal(struct auth *a, const struct api_call *call,
			const char *action, const char *target,
			const char *code)
{
	struct store_audit entry = api_audit(call, action, target);

	if (!auth_may_audit(a, &entry))
		return;
	entry.who = *call->caller.who ? call->caller.who : "unknown";
	entry.result = code;
	if (store_audit_append(a->b->store, &entry, (struct store_done){ 0 }))
		log_write(LOG_LEVEL_WARN, call->caller.who, call->trace_id,
			  "a refusal was not audited: %s", code);
}

static bool auth_refuse(struct auth *a, struct api_call *call, int status,
			const char *code, const char *detail)
{
	log_write(LOG_LEVEL_INFO, call->caller.who, call->trace_id,
		  "refused %s from %s: %s", code, call->req->peer->address,
		  detail);
	metrics_token_refused(a->b->metrics);
	auth_audit_refusal(a, call, "token.refused", call->req->peer->address,
			   code);
	api_problem(call, status, code, "%s", detail);
	return false;
}

/* --- who ----------------------------------------------------------------- */

/* The credential of "Authorization: Bearer …" or X-Cronium-Token; NULL when
 * there is none. */
static const char *auth_bearer(const struct api_call *call)
{
	const char *v = http_request_header(call->req, "authorization");

	if (!v)
		return http_request_header(call->req, "x-cronium-token");
	if (strncasecmp(v, "Bearer ", 7) != 0)
		return NULL;
	v += 7;
	return v + strspn(v, " ");
}

/* Checks a token that was not seen before. The live execution that it is for
 * in *x; false: refused. */
static bool auth_verify(struct auth *a, struct api_call *call,
			const char *token, struct token_claims *claims,
			struct live_execution **x)
{
	const struct token_expect expect = {
		.issuer = BACKEND_ISSUER,
		.audience = "backend",
	};
	int r = token_verify(a->b->keys.signing, token, strlen(token), &expect,
			     clock_wall_s(), claims);

	if (r == TOKEN_E_EXPIRED)
		return auth_refuse(a, call, 401, "token_expired",
				   token_strerror(r));
	if (r > 0)
		return auth_refuse(a, call, 401, "invalid_token",
				   token_strerror(r));
	if (r < 0) {
		api_problem(call, 503, "out_of_memory", "try again");
		return false;
	}
	snprintf(call->caller.who, sizeof(call->caller.who), "execution:%s",
		 claims->subject);
	*x = live_find(a->b->live, claims->subject);
	if (*x)
		return true;
	if (neighbours_may_live(a->b->neighbours, claims->subject)) {
		api_problem(call, 503, "execution_unknown",
			    "the execution was claimed through another "
			    "backend just now: try again");
		token_claims_deinit(claims);
		return false;
	}
	token_claims_deinit(claims);
	return auth_refuse(a, call, 401, "execution_ended",
			   "the execution has ended, and its token with it");
}

static bool auth_token(struct auth *a, struct api_call *call, const char *token)
{
	uint8_t digest[TOKEN_DIGEST_BYTES];
	struct live_execution *x;
	struct token_claims claims;
	struct live_token *t;

	if (token_digest(token, strlen(token), digest)) {
		api_problem(call, 503, "out_of_memory", "try again");
		return false;
	}
	t = live_token_find(a->b->live, digest);
	if (!t) {
		if (!auth_verify(a, call, token, &claims, &x))
			return false;
		t = live_token_add(a->b->live, x, digest, &claims);
	} else if (token_check_times(&t->claims, clock_wall_s()) ==
		   TOKEN_E_EXPIRED) {
		return auth_refuse(a, call, 401, "token_expired",
				   token_strerror(TOKEN_E_EXPIRED));
	}
	if (!t) {
		api_problem(call, 503, "out_of_memory", "try again");
		return false;
	}
	call->caller.kind = AUTH_EXECUTION;
	call->caller.token = live_token_ref(t);
	snprintf(call->caller.who, sizeof(call->caller.who), "execution:%s",
		 t->claims.subject);
	return true;
}

static bool auth_api_key(struct auth *a, struct api_call *call, const char *key)
{
	uint8_t hash[STORE_HASH_BYTES];
	struct auth_key *k = NULL;

	if (!token_digest(key, strlen(key), hash))
		HASH_FIND(hh, a->keys, hash, sizeof(hash), k);
	if (!k)
		return auth_refuse(a, call, 401, "invalid_key",
				   "the API key is not known");
	auth_key_touch(a, k);
	call->caller.kind = AUTH_ADMIN;
	snprintf(call->caller.who, sizeof(call->caller.who), "key:%s", k->id);
	return true;
}

static bool auth_peer(struct auth *a, struct api_call *call)
{
	uid_t uid = call->req->peer->uid;

	snprintf(call->caller.who, sizeof(call->caller.who), "uid:%u",
		 (unsigned int)uid);
	if (uid != 0 && uid != geteuid())
		return auth_refuse(a, call, 403, "forbidden",
				   "this socket is for the user that runs the "
				   "backend");
	call->caller.kind = AUTH_ADMIN;
	return true;
}

static bool auth_identify(struct auth *a, struct api_call *call)
{
	const char *bearer = auth_bearer(call);

	if (call->req->peer->listener_tag == auth_listener_tag(AUTH_API_SOCKET))
		return auth_peer(a, call);
	if (!bearer)
		return auth_refuse(a, call, 401, "no_credentials",
				   "send Authorization: Bearer with an API "
				   "key or an execution's token");
	if (strchr(bearer, '.') ||
	    call->req->peer->listener_tag ==
		    auth_listener_tag(AUTH_RUNTIME_SOCKET))
		return auth_token(a, call, bearer);
	return auth_api_key(a, call, bearer);
}

static bool auth_allow(struct auth *a, struct api_call *call)
{
	bool is_runtime = call->route->flags == API_RUNTIME;

	if (is_runtime == (call->caller.kind == AUTH_EXECUTION))
		return true;
	return auth_refuse(a, call, 403, "forbidden",
			   is_runtime ? "this is for executions: an API key "
					"does not open it"
				      : "an execution's token does not open "
					"this");
}

bool auth_check(struct auth *a, struct api_call *call)
{
	if (call->req->peer->listener_tag ==
		    auth_listener_tag(AUTH_RUNTIME_SOCKET) &&
	    call->route->flags != API_RUNTIME)
		return auth_refuse(a, call, 403, "forbidden",
				   "this socket serves " AUTH_RUNTIME_PREFIX
				   " only");
	if (call->route->flags == API_PUBLIC)
		return true;
	return auth_identify(a, call) && auth_allow(a, call);
}
