#include "cli/api.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/output.h"
#include "cli/slow_note.h"
#include "common/json.h"

#define API_HEADERS_MAX 3

struct api_wait {
	struct event_base *base;
	struct api_reply *reply;
	bool done;
};

int api_open(struct api *out, const struct cli_globals *globals)
{
	struct backend_client_config config = BACKEND_CLIENT_CONFIG_DEFAULT;
	int r;

	*out = (struct api){ .server.hold.fd = -1 };
	r = server_open(&out->server, globals);
	if (r < 0)
		return r;
	config.endpoint = out->server.url;
	config.bearer = out->server.api_key;
	config.ca_file = out->server.ca_file;
	config.user_agent = "cronium/" CRONIUM_VERSION;
	out->base = event_base_new();
	r = out->base ? backend_client_new(&out->client, out->base, &config)
		      : -ENOMEM;
	if (r == -EINVAL)
		output_error("'%s' is no server: it has to be unix:PATH, "
			     "http://HOST:PORT or https://HOST:PORT, or "
			     "several of the latter with commas",
			     out->server.url);
	else if (r == -ENOKEY)
		output_error("cannot read the certificates in '%s'",
			     out->server.ca_file ? out->server.ca_file
						 : "the system's list");
	else if (r < 0)
		output_error("cannot start: %s", strerror(-r));
	if (r < 0)
		api_close(out);
	return r;
}

void api_close(struct api *api)
{
	backend_client_free(api->client);
	if (api->base)
		event_base_free(api->base);
	server_close(&api->server);
	*api = (struct api){ .server.hold.fd = -1 };
}

/* --- one call ------------------------------------------------------------ */

void api_reply_read_problem(struct api_reply *reply)
{
	_cleanup_json_ json_t *o = json_parse_object(reply->body.data,
						     reply->body.len, NULL, 0);
	const char *detail = json_get_str(o, "detail", NULL);

	if (!detail)
		detail = json_get_str(o, "title", NULL);
	if (detail)
		snprintf(reply->detail, sizeof(reply->detail), "%s", detail);
	else
		snprintf(reply->detail, sizeof(reply->detail),
			 "the server answered %d", reply->status);
	snprintf(reply->code, sizeof(reply->code), "%s",
		 json_get_str(o, "code", ""));
}

static void api_on_done(struct backend_call *call,
			const struct backend_response *r, void *ctx)
{
	struct api_wait *wait = ctx;
	struct api_reply *reply = wait->reply;
	const char *date = NULL;
	struct tm tm = { 0 };

	wait->done = true;
	event_base_loopbreak(wait->base);
	reply->error = r->error;
	if (r->error) {
		snprintf(reply->detail, sizeof(reply->detail), "%s", r->detail);
		return;
	}
	reply->status = r->status;
	date = backend_response_header(r, "date");
	if (date && strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		reply->date_s = timegm(&tm);
	if (buf_append(&reply->body, r->body, r->body_len) < 0)
		reply->error = BACKEND_E_MEMORY;
	if (reply->status / 100 != 2)
		api_reply_read_problem(reply);
}

static size_t api_headers(const struct api_request *request,
			  struct backend_header *headers)
{
	size_t n = 0;

	if (request->content_type)
		headers[n++] = (struct backend_header){ "content-type",
							request->content_type };
	if (request->accept)
		headers[n++] = (struct backend_header){ "accept",
							request->accept };
	if (request->idempotency_key)
		headers[n++] = (struct backend_header){
			"idempotency-key", request->idempotency_key
		};
	return n;
}

/* How long a call is tried again where nobody can be reached; 0: once. */
static uint32_t api_deadline_ms(const struct api *api,
				const struct api_request *request)
{
	const char *url = api->server.url;

	if (request->timeout_ms)
		return 0; /* it has no time but its own */
	/* What `cronium up` watches over comes back when it crashed. */
	if (api->server.hold.fd >= 0)
		return API_ANSWER_TIMEOUT_MS;
	return strncmp(url, "unix:", 5) && strchr(url, ',') ? API_OTHERS_MS : 0;
}

bool api_call(struct api *api, const struct api_request *request,
	      struct api_reply *out)
{
	static const struct backend_call_ops ops = { .on_done = api_on_done };
	struct api_wait wait = { .base = api->base, .reply = out };
	struct backend_header headers[API_HEADERS_MAX];
	bool safe = strcmp(request->method, "POST") != 0 ||
		    request->idempotency_key;
	const struct backend_request req = {
		.method = request->method,
		.path = request->path,
		.headers = headers,
		.n_headers = api_headers(request, headers),
		.body = request->body,
		.body_len = request->body_len,
		.deadline_ms = api_deadline_ms(api, request),
		.attempt_timeout_ms = request->timeout_ms
					      ? request->timeout_ms
					      : API_ANSWER_TIMEOUT_MS,
		.retry = safe ? BACKEND_RETRY_SAFE : BACKEND_RETRY_UNSENT,
	};

	struct slow_note *note = NULL;

	*out = (struct api_reply){ 0 };
	if (slow_note_start(&note, api) < 0 ||
	    backend_client_call(api->client, &req, &ops, &wait, NULL) < 0) {
		slow_note_stop(note);
		out->error = BACKEND_E_MEMORY;
		return false;
	}
	while (!wait.done)
		if (event_base_dispatch(api->base) != 0)
			break;
	slow_note_stop(note);
	return !out->error && out->status / 100 == 2;
}

void api_reply_deinit(struct api_reply *r)
{
	buf_deinit_secret(&r->body);
}

void api_explain(const struct api *api, const struct api_reply *reply,
		 const char *doing)
{
	if (reply->error)
		output_error("cannot %s: %s", doing,
			     reply->detail[0] ? reply->detail
					      : backend_strerror(reply->error));
	else if (reply->status == 401 && !api->server.api_key)
		output_error("cannot %s: the server at %s wants an API key; "
			     "set CRONIUM_API_KEY",
			     doing, api->server.url);
	else if (reply->status == 401)
		output_error("cannot %s: the server at %s does not accept "
			     "this API key (%s)",
			     doing, api->server.url, reply->detail);
	else
		output_error("cannot %s: %s", doing, reply->detail);
}

json_t *api_call_json(struct api *api, const struct api_request *request,
		      const char *doing)
{
	struct api_reply reply;
	json_t *o = NULL;
	char err[160];

	if (!api_call(api, request, &reply)) {
		api_explain(api, &reply, doing);
	} else {
		o = json_parse_object(reply.body.data, reply.body.len, err,
				      sizeof(err));
		if (!o)
			output_error("cannot %s: what the server answers is "
				     "no JSON: %s",
				     doing, err);
	}
	api_reply_deinit(&reply);
	return o;
}

json_t *api_get_json(struct api *api, const char *path, const char *doing)
{
	const struct api_request request = { .method = "GET", .path = path };

	return api_call_json(api, &request, doing);
}
