/* /variables: what a script may do with each key, and how writes reach the
 * cache. Reading one is in variable_read.c. */
#include <stdio.h>
#include <string.h>

#include "backend-client/client.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/percent.h"
#include "common/token.h"
#include "sidecar/audit.h"
#include "sidecar/cache.h"
#include "sidecar/changes.h"
#include "sidecar/execution.h"
#include "sidecar/forward.h"
#include "sidecar/handlers.h"
#include "sidecar/limits.h"
#include "sidecar/relay.h"
#include "sidecar/variable_read.h"
#include "sidecar/watch.h"

#define KEY_MAX_BYTES 256

/* --- who may touch what --------------------------------------------------- */

/* The key of the path; NULL after having answered. */
static const char *take_key(struct request *req)
{
	const char *key = http_param(&req->params, "key");

	if (*key && strlen(key) <= KEY_MAX_BYTES)
		return key;
	reply_problem(&req->reply, 400, "invalid_key",
		      "a variable's key has 1 to %d bytes", KEY_MAX_BYTES);
	return NULL;
}

static const char *take_readable_key(struct request *req)
{
	const char *key = take_key(req);

	if (!key || token_may_read(req->claims, key))
		return key;
	audit_refusal(req, "key_forbidden", key);
	reply_problem(&req->reply, 403, "key_forbidden",
		      "this job may not read the variable \"%s\"; add it to "
		      "the job's vars_read",
		      key);
	return NULL;
}

static const char *take_writable_key(struct request *req)
{
	const char *key = take_key(req);

	if (!key || token_may_write(req->claims, key))
		return key;
	audit_refusal(req,
		      req->claims->read_only ? "read_only" : "key_forbidden",
		      key);
	if (req->claims->read_only)
		reply_problem(&req->reply, 403, "read_only",
			      "this job is read-only: it may not write the "
			      "variable \"%s\"",
			      key);
	else
		reply_problem(&req->reply, 403, "key_forbidden",
			      "this job may not write the variable \"%s\"; "
			      "add it to the job's vars_write",
			      key);
	return NULL;
}

/* --- list ----------------------------------------------------------------- */

static void on_list(struct relay *r, const uint8_t *body, size_t len)
{
	char path[FORWARD_PATH_BYTES] = "/variables";
	char prefix[KEY_MAX_BYTES + 1];
	int found = http_query_get(relay_request(r)->query, "prefix", prefix,
				   sizeof(prefix));

	if (found < 0) {
		relay_refuse(r, 400, "invalid_prefix",
			     "the prefix has a bad escape or is longer than "
			     "%d bytes",
			     KEY_MAX_BYTES);
		return;
	}
	if (found > 0 && *prefix) {
		strcat(path, "?prefix=");
		percent_encode(prefix, path + strlen(path));
	}
	relay_send(r, path, NULL, 0);
}

void handle_variables_list(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "GET",
		.on_body = on_list,
	};

	relay_begin(req, &spec, NULL, 0);
}

/* --- one ------------------------------------------------------------------ */

void handle_variable_get(struct request *req)
{
	const char *key = take_readable_key(req);

	if (key)
		variable_read(req, key);
}

void handle_variable_watch(struct request *req)
{
	const char *key = take_readable_key(req);

	if (key)
		watch_begin(req, key);
}

/* Whatever came of a write, reads under way may be older than it. */
static void forget(struct relay *r)
{
	struct execution *x = relay_execution(r);

	flight_detach(&x->flights, relay_key(r));
	cache_drop(x->cache, relay_key(r));
}

/* The new version of a write that succeeded. */
static bool take_version(const struct backend_response *a, uint64_t *version)
{
	const char *etag = backend_response_header(a, "etag");

	return a->error == BACKEND_OK && a->status < 300 && etag &&
	       !cache_parse_etag(etag, version);
}

/* A secret is not written through: it is cached once it was announced. */
static void on_put_answer(struct relay *r, const struct backend_response *a)
{
	struct execution *x = relay_execution(r);
	const void *value;
	uint64_t version;
	size_t len;

	/* Somebody else's write may have been heard of before the answer. */
	if (!take_version(a, &version) || forward_is_secret(a) ||
	    relay_change(r) > version) {
		forget(r);
		return;
	}
	value = relay_sent(r, &len);
	flight_detach(&x->flights, relay_key(r));
	cache_store(x->cache, relay_key(r), value, len, version, false,
		    clock_mono_ms());
	changes_want(&x->changes);
}

static void on_put(struct relay *r, const uint8_t *body, size_t len)
{
	char path[FORWARD_PATH_BYTES];
	size_t at;

	if (json_check(body, len, &at) < 0) {
		relay_refuse(r, 400, "invalid_json",
			     "the value has to be one JSON value; it stops "
			     "being JSON at byte %zu",
			     at);
		return;
	}
	forward_variable_path(path, relay_key(r), "");
	relay_send(r, path, body, len);
}

void handle_variable_put(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "PUT",
		.write = true,
		.on_body = on_put,
		.on_answer = on_put_answer,
		.secret_in_request = true,
	};
	const char *key = take_writable_key(req);

	if (key)
		relay_begin(req, &spec, key,
			    req->execution->assignment.value_bytes);
}

static void on_forgetful_answer(struct relay *r,
				const struct backend_response *a)
{
	forget(r);
}

static void on_delete(struct relay *r, const uint8_t *body, size_t len)
{
	char path[FORWARD_PATH_BYTES];

	forward_variable_path(path, relay_key(r), "");
	relay_send(r, path, NULL, 0);
}

void handle_variable_delete(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "DELETE",
		.write = true,
		.on_body = on_delete,
		.on_answer = on_forgetful_answer,
	};
	const char *key = take_writable_key(req);

	if (key)
		relay_begin(req, &spec, key, 0);
}

/* --- increment ------------------------------------------------------------ */

/* {"by": NUMBER}, or nothing for 1. */
static bool check_increment(const uint8_t *body, size_t len)
{
	char err[128];
	_cleanup_json_ json_t *o = NULL;

	if (!len)
		return true;
	o = json_parse_object(body, len, err, sizeof(err));
	if (!o || json_object_size(o) > 1)
		return false;
	return !json_object_size(o) || json_is_number(json_object_get(o, "by"));
}

static void on_increment(struct relay *r, const uint8_t *body, size_t len)
{
	static const char one[] = "{\"by\":1}";
	char path[FORWARD_PATH_BYTES];

	if (!check_increment(body, len)) {
		relay_refuse(r, 400, "invalid_increment",
			     "the body has to be {\"by\": NUMBER}, or empty "
			     "for 1");
		return;
	}
	forward_variable_path(path, relay_key(r), "/increment");
	if (len)
		relay_send(r, path, body, len);
	else
		relay_send(r, path, one, sizeof(one) - 1);
}

/* The answer tells the new value; who may write a counter may know it. */
void handle_variable_increment(struct request *req)
{
	static const struct relay_spec spec = {
		.method = "POST",
		.write = true,
		.on_body = on_increment,
		.on_answer = on_forgetful_answer,
	};
	const char *key = take_writable_key(req);

	if (key && take_readable_key(req)) /* the answer tells the value */
		relay_begin(req, &spec, key, LIMITS_INCREMENT_BYTES);
}
