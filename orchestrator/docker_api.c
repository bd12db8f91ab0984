#include "orchestrator/docker_api.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/curl/curl_loop.h"
#include "common/json.h"

#define DOCKER_REPLY_MAX_BYTES (8 * 1024 * 1024)
#define DOCKER_LINE_MAX_BYTES (256 * 1024)
#define DOCKER_PING_TIMEOUT_MS 10000
#define DOCKER_CONNECT_TIMEOUT_MS 2000
#define DOCKER_ERROR_MAX_BYTES 512
#define DOCKER_JSON "Content-Type: application/json"
#define DOCKER_TAR "Content-Type: application/x-tar"

struct docker_call {
	LIST_ENTRY(docker_call) link; /* in docker_api.calls */
	struct docker_api *api;
	const struct docker_call_ops *ops;
	void *ctx;
	struct curl_transfer transfer;
	struct curl_slist *headers;
	char *path;      /* without the version */
	struct buf body; /* of the request */
	struct buf reply;
	char curl_error[CURL_ERROR_SIZE];
	bool too_large;
};

LIST_HEAD(docker_calls, docker_call);

struct docker_api {
	char *socket_path;
	struct curl_loop *loop;
	struct docker_calls waiting; /* for the version */
	struct docker_calls calls;
	struct docker_call *ping;
	void (*on_ping)(void *ctx, const struct docker_reply *reply);
	void *on_ping_ctx;
	char version[16]; /* "1.41"; empty until negotiated */
};

/* --- calls --------------------------------------------------------------- */

static void docker_call_free(struct docker_call *call)
{
	LIST_REMOVE(call, link);
	curl_loop_stop(&call->transfer);
	curl_easy_cleanup(call->transfer.easy);
	curl_slist_free_all(call->headers);
	buf_deinit(&call->body);
	buf_deinit(&call->reply);
	free(call->path);
	free(call);
}

static void docker_call_give_lines(struct docker_call *call)
{
	uint8_t *end;

	while ((end = call->reply.len
			      ? memchr(call->reply.data, '\n', call->reply.len)
			      : NULL)) {
		size_t n = (size_t)(end - call->reply.data);

		*end = '\0';
		if (n)
			call->ops->on_line(call->ctx, (char *)call->reply.data);
		buf_consume(&call->reply, n + 1);
	}
}

static size_t docker_on_data(char *data, size_t size, size_t n, void *ctx)
{
	struct docker_call *call = ctx;
	size_t max = call->ops->on_line ? DOCKER_LINE_MAX_BYTES
					: DOCKER_REPLY_MAX_BYTES;

	n *= size;
	if (call->reply.len + n > max) {
		call->too_large = true;
		return 0;
	}
	if (buf_append(&call->reply, data, n) < 0)
		return 0;
	if (call->ops->on_line)
		docker_call_give_lines(call);
	return n;
}

/* The engine answers an error as {"message": "…"}. */
static void docker_call_error(struct docker_call *call, CURLcode code,
			      int status, char *out, size_t size)
{
	char ignored[64];
	_cleanup_json_ json_t *o = NULL;

	if (call->too_large) {
		snprintf(out, size, "its reply to %s is too large", call->path);
	} else if (code != CURLE_OK) {
		snprintf(out, size, "%s (%s)",
			 call->curl_error[0] ? call->curl_error
					     : curl_easy_strerror(code),
			 call->api->socket_path);
	} else {
		o = json_parse_object(call->reply.data, call->reply.len,
				      ignored, sizeof(ignored));
		snprintf(out, size, "%s (HTTP %d)",
			 json_get_str(o, "message", "no explanation"), status);
	}
}

/* One that takes its time may yet be there. */
static bool docker_is_gone(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return true;
	default:
		return false;
	}
}

static void docker_on_transfer(struct curl_transfer *t, CURLcode code)
{
	struct docker_call *call = t->ctx;
	const struct docker_call_ops *ops = call->ops;
	char error[DOCKER_ERROR_MAX_BYTES];
	struct docker_reply reply = { 0 };
	struct buf body;
	void *ctx = call->ctx;
	long status = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	reply.status = (int)status;
	reply.gone = docker_is_gone(code);
	if ((status < 200 || status > 299) && status != 304) {
		docker_call_error(call, code, reply.status, error,
				  sizeof(error));
		reply.error = error;
	}
	body = call->reply;
	call->reply = (struct buf){ 0 };
	docker_call_free(call);
	reply.body = buf_cstr(&body);
	reply.len = body.len;
	if (!reply.body)
		reply.body = "";
	ops->on_done(ctx, &reply);
	buf_deinit(&body);
}

/* --- starting a call ----------------------------------------------------- */

/* Hands a prepared call to libcurl. version: "" for none. */
static int docker_call_start(struct docker_call *call, const char *version)
{
	_cleanup_free_ char *url = NULL;

	if (asprintf(&url, "http://docker%s%s%s", version[0] ? "/v" : "",
		     version, call->path) < 0)
		return -ENOMEM;
	curl_easy_setopt(call->transfer.easy, CURLOPT_URL, url);
	if (curl_loop_start(call->api->loop, &call->transfer))
		return -ENOMEM;
	LIST_REMOVE(call, link);
	LIST_INSERT_HEAD(&call->api->calls, call, link);
	return 0;
}

static int docker_call_prepare(struct docker_call *call, const char *method,
			       const char *content_type,
			       unsigned int timeout_ms)
{
	CURL *easy = call->transfer.easy = curl_easy_init();

	call->headers = curl_slist_append(NULL, content_type);
	if (!easy || !call->headers)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
			 call->api->socket_path);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, docker_on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)DOCKER_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE,
				 (long)call->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				 call->body.len ? (char *)call->body.data : "");
	}
	return 0;
}

/* Takes the bytes of body. */
static int docker_call_new(struct docker_api *api, const char *method,
			   const char *path, const char *content_type,
			   struct buf *body, unsigned int timeout_ms,
			   const struct docker_call_ops *ops, void *ctx,
			   struct docker_call **out)
{
	struct docker_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->api = api;
	call->transfer.on_done = docker_on_transfer;
	call->transfer.ctx = call;
	call->ops = ops;
	call->ctx = ctx;
	call->body = *body;
	*body = (struct buf){ 0 };
	LIST_INSERT_HEAD(&api->waiting, call, link);
	call->path = strdup(path);
	r = call->path ? docker_call_prepare(call, method, content_type,
					     timeout_ms)
		       : -ENOMEM;
	if (r < 0) {
		docker_call_free(call);
		return r;
	}
	*out = call;
	return 0;
}

/* --- the version --------------------------------------------------------- */

static unsigned int docker_version_number(const char *s)
{
	unsigned int major = 0, minor = 0;

	if (sscanf(s, "%u.%u", &major, &minor) != 2)
		return 0;
	return major * 1000 + minor;
}

static size_t docker_on_ping_header(char *data, size_t size, size_t n,
				    void *ctx)
{
	static const char name[] = "api-version:";
	struct docker_api *api = ctx;
	char value[16] = "";

	n *= size;
	if (n < sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
		return n;
	snprintf(value, sizeof(value), "%.*s", (int)(n - sizeof(name) + 1),
		 data + sizeof(name) - 1);
	if (sscanf(value, " %15[0-9.]", api->version) != 1)
		api->version[0] = '\0';
	if (docker_version_number(api->version) >
	    docker_version_number(DOCKER_API_VERSION_MAX))
		strcpy(api->version, DOCKER_API_VERSION_MAX);
	return n;
}

/* The waiting calls go ahead, or fail with the reason of the ping. */
static void docker_on_ping_done(void *ctx, const struct docker_reply *reply)
{
	struct docker_api *api = ctx;
	struct docker_reply failed = { .body = "",
				       .error = reply->error,
				       .gone = reply->gone };
	struct docker_call *call;
	char old[128];

	api->ping = NULL;
	if (!failed.error &&
	    docker_version_number(api->version) <
		    docker_version_number(DOCKER_API_VERSION_MIN)) {
		snprintf(old, sizeof(old),
			 "the engine speaks API %s; %s (Docker 20.10) is the "
			 "oldest that works",
			 api->version[0] ? api->version : "of no version",
			 DOCKER_API_VERSION_MIN);
		failed.error = old;
	}
	if (failed.error)
		api->version[0] = '\0';
	while ((call = LIST_FIRST(&api->waiting))) {
		const struct docker_call_ops *ops = call->ops;
		void *call_ctx = call->ctx;

		if (!failed.error && docker_call_start(call, api->version) == 0)
			continue;
		docker_call_free(call);
		ops->on_done(call_ctx, &failed);
	}
	if (api->on_ping)
		api->on_ping(api->on_ping_ctx, reply);
}

int docker_api_ping(struct docker_api *api)
{
	static const struct docker_call_ops ops = {
		.on_done = docker_on_ping_done,
	};
	struct buf none = { 0 };
	int r;

	if (api->ping)
		return 0;
	r = docker_call_new(api, "GET", "/_ping", DOCKER_JSON, &none,
			    DOCKER_PING_TIMEOUT_MS, &ops, api, &api->ping);
	if (r < 0)
		return r;
	curl_easy_setopt(api->ping->transfer.easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(api->ping->transfer.easy, CURLOPT_HEADERFUNCTION,
			 docker_on_ping_header);
	curl_easy_setopt(api->ping->transfer.easy, CURLOPT_HEADERDATA, api);
	r = docker_call_start(api->ping, "");
	if (r < 0) {
		docker_call_free(api->ping);
		api->ping = NULL;
	}
	return r;
}

/* --- public -------------------------------------------------------------- */

/* Sends a new call at once, or when the version is known. */
static int docker_api_send(struct docker_api *api, struct docker_call *call)
{
	int r = 0;

	if (api->version[0])
		r = docker_call_start(call, api->version);
	else
		r = docker_api_ping(api);
	if (r < 0)
		docker_call_free(call);
	return r;
}

int docker_api_call(struct docker_api *api, const char *method,
		    const char *path, const json_t *body,
		    unsigned int timeout_ms, const struct docker_call_ops *ops,
		    void *ctx, struct docker_call **out)
{
	struct docker_call *call;
	struct buf bytes = { 0 };
	int r = body ? json_append(&bytes, body) : 0;

	if (r == 0)
		r = docker_call_new(api, method, path, DOCKER_JSON, &bytes,
				    timeout_ms, ops, ctx, &call);
	buf_deinit(&bytes);
	if (r < 0)
		return r;
	r = docker_api_send(api, call);
	if (r == 0 && out)
		*out = call;
	return r;
}

int docker_api_upload(struct docker_api *api, const char *path, struct buf *tar,
		      unsigned int timeout_ms,
		      const struct docker_call_ops *ops, void *ctx)
{
	struct docker_call *call;
	int r = docker_call_new(api, "POST", path, DOCKER_TAR, tar, timeout_ms,
				ops, ctx, &call);

	return r < 0 ? r : docker_api_send(api, call);
}

int docker_api_new(struct docker_api **out, struct event_base *base,
		   const char *socket_path)
{
	_cleanup_(docker_api_freep) struct docker_api *api =
		calloc(1, sizeof(*api));

	if (!api)
		return -ENOMEM;
	LIST_INIT(&api->waiting);
	LIST_INIT(&api->calls);
	api->socket_path = strdup(socket_path);
	if (!api->socket_path || curl_loop_new(&api->loop, base))
		return -ENOMEM;
	*out = api;
	api = NULL;
	return 0;
}

const char *docker_api_socket(const struct docker_api *api)
{
	return api->socket_path;
}

void docker_api_on_ping(struct docker_api *api,
			void (*fn)(void *ctx, const struct docker_reply *reply),
			void *ctx)
{
	api->on_ping = fn;
	api->on_ping_ctx = ctx;
}

void docker_api_free(struct docker_api *api)
{
	struct docker_call *call;

	if (!api)
		return;
	while ((call = LIST_FIRST(&api->waiting)))
		docker_call_free(call);
	while ((call = LIST_FIRST(&api->calls)))
		docker_call_free(call);
	curl_loop_free(api->loop);
	free(api->socket_path);
	free(api);
}
