#include "sidecar/execution.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/log.h"
#include "common/token.h"
#include "sidecar/auth.h"
#include "sidecar/cache.h"
#include "sidecar/relay.h"
#include "sidecar/reply.h"
#include "sidecar/stream_read.h"
#include "sidecar/stream_write.h"
#include "sidecar/variable_read.h"
#include "sidecar/watch.h"

static void on_backend_state(int on, const char *why, void *ctx)
{
	const struct execution *x = ctx;

	if (on)
		execution_log(x, LOG_LEVEL_DEBUG, "backend connected");
	else
		execution_log(x, LOG_LEVEL_WARN, "backend lost: %s", why);
}

static int make_auth(struct execution *x, char *err, size_t err_size)
{
	const struct assignment *a = &x->assignment;
	struct token_key *key;
	int r = token_key_parse(a->public_key, strlen(a->public_key), &key);

	if (r < 0) {
		snprintf(err, err_size, "public_key is no P-256 key in PEM");
		return r;
	}
	return auth_new(&x->auth, key, a->issuer, a->execution);
}

static int make_cache(struct execution *x)
{
	const struct cache_config config = {
		.max_bytes = x->assignment.cache_bytes,
		.ttl_ms = x->assignment.cache_ttl_ms,
	};

	return cache_new(&x->cache, &config);
}

static int make_backend(struct execution *x, const char *endpoint, char *err,
			size_t err_size)
{
	struct backend_client_config config = BACKEND_CLIENT_CONFIG_DEFAULT;
	int r;

	config.endpoint = endpoint;
	config.bearer = x->assignment.backend_token;
	config.bearer_header = "x-cronium-token";
	config.user_agent = "cronium-sidecar/" CRONIUM_VERSION;
	config.response_bytes = FRAME_MESSAGE_MAX_BYTES;
	r = backend_client_new(&x->backend, x->base, &config);
	if (r == -EINVAL)
		snprintf(err, err_size,
			 "\"%s\" is no endpoint: --backend "
			 "takes unix:PATH or https://HOST:PORT",
			 endpoint);
	if (!r)
		backend_client_on_state(x->backend, on_backend_state, x);
	return r;
}

int execution_new(struct execution **out, struct event_base *base,
		  struct assignment *a, const char *endpoint,
		  struct control *control, struct metrics *metrics, char *err,
		  size_t err_size)
{
	struct execution *x = calloc(1, sizeof(*x));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!x) {
		assignment_deinit(a);
		return -ENOMEM;
	}
	x->assignment = *a;
	*a = (struct assignment){ 0 };
	x->base = base;
	x->control = control;
	x->metrics = metrics;
	changes_init(&x->changes, x);
	audit_init(&x->audit, x);
	for (size_t i = 0; i < RATE_CLASSES; i++)
		rate_init(&x->rate[i], &x->assignment.rate[i], clock_mono_ms());
	if ((r = make_auth(x, err, err_size)) || (r = make_cache(x)) ||
	    (r = make_backend(x, endpoint, err, err_size))) {
		execution_free(x);
		return r;
	}
	*out = x;
	return 0;
}

void execution_end_reads(struct execution *x)
{
	relay_free_reads(x);
	variable_read_free_all(x);
	stream_read_free_all(x);
	watch_end_all(x);
}

void execution_free(struct execution *x)
{
	if (!x)
		return;
	x->on_writes_done = NULL;
	watch_end_all(x);
	changes_deinit(&x->changes);
	audit_deinit(&x->audit);
	relay_free_all(x);
	variable_read_free_all(x);
	stream_read_free_all(x);
	stream_write_free_all(x);
	watch_free_all(x);
	backend_client_free(x->backend);
	auth_free(x->auth);
	cache_free(x->cache);
	assignment_deinit(&x->assignment);
	free(x);
}

bool execution_admit(struct execution *x, enum rate_class class,
		     struct reply *reply)
{
	struct rate *rate = &x->rate[class];
	uint64_t wait_ms = rate_take(rate, clock_mono_ms());

	if (wait_ms)
		reply_rate_limited(reply, class, rate, wait_ms);
	return !wait_ms;
}

const char *execution_trace(const struct execution *x)
{
	const char *trace = x->assignment.trace;

	return *trace ? trace : NULL;
}

void execution_write_begin(struct execution *x)
{
	x->writes++;
}

void execution_write_end(struct execution *x)
{
	assert(x->writes);
	if (!--x->writes && x->on_writes_done)
		x->on_writes_done(x->ctx);
}
