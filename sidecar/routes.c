#include "sidecar/routes.h"

#include <string.h>

#include "common/clock.h"
#include "common/token.h"
#include "sidecar/audit.h"
#include "sidecar/auth.h"
#include "sidecar/execution.h"
#include "sidecar/handlers.h"
#include "sidecar/request.h"

struct route {
	void (*handle)(struct request *req);
	enum metrics_class class;
	unsigned int scope; /* enum token_scope; 0: public */
	const char *scope_name;
};

#define PUBLIC METRICS_HEALTH, 0, NULL
#define SCOPED(name, text) METRICS_##name, TOKEN_SCOPE_##name, text

/* What the index in the flags of table[] stands for. */
enum {
	HEALTHZ,
	READYZ,
	METRICS,
	INPUT,
	INPUT_STREAM,
	OUTPUT,
	OUTPUT_STREAM,
	CONTEXT,
	CONDITION_GET,
	CONDITION_SET,
	LIST,
	GET,
	PUT,
	DELETE,
	INCREMENT,
	WATCH,
	TOOL_ACTION,
};

static const struct route routes[] = {
	[HEALTHZ] = { handle_healthz, PUBLIC },
	[READYZ] = { handle_readyz, PUBLIC },
	[METRICS] = { handle_metrics, PUBLIC },
	[INPUT] = { handle_input, SCOPED(INPUT, "input") },
	[INPUT_STREAM] = { handle_input_stream, SCOPED(INPUT, "input") },
	[OUTPUT] = { handle_output, SCOPED(OUTPUT, "output") },
	[OUTPUT_STREAM] = { handle_output_stream, SCOPED(OUTPUT, "output") },
	[CONTEXT] = { handle_context, SCOPED(CONTEXT, "context") },
	[CONDITION_GET] = { handle_condition_get,
			    SCOPED(CONDITION, "condition") },
	[CONDITION_SET] = { handle_condition_set,
			    SCOPED(CONDITION, "condition") },
	[LIST] = { handle_variables_list, SCOPED(VARIABLES, "variables") },
	[GET] = { handle_variable_get, SCOPED(VARIABLES, "variables") },
	[PUT] = { handle_variable_put, SCOPED(VARIABLES, "variables") },
	[DELETE] = { handle_variable_delete, SCOPED(VARIABLES, "variables") },
	[INCREMENT] = { handle_variable_increment,
			SCOPED(VARIABLES, "variables") },
	[WATCH] = { handle_variable_watch, METRICS_WATCH, TOKEN_SCOPE_VARIABLES,
		    "variables" },
	[TOOL_ACTION] = { handle_tool_action, SCOPED(TOOLS, "tools") },
};

/* The most frequent one first. */
static const struct http_route table[] = {
	{ HTTP_GET, "/variables/{key}", NULL, GET },
	{ HTTP_PUT, "/variables/{key}", NULL, PUT },
	{ HTTP_DELETE, "/variables/{key}", NULL, DELETE },
	{ HTTP_POST, "/variables/{key}/increment", NULL, INCREMENT },
	{ HTTP_GET, "/variables/{key}/watch", NULL, WATCH },
	{ HTTP_GET, "/variables", NULL, LIST },
	{ HTTP_GET, "/input", NULL, INPUT },
	{ HTTP_POST, "/output", NULL, OUTPUT },
	{ HTTP_GET, "/input/stream", NULL, INPUT_STREAM },
	{ HTTP_POST, "/output/stream", NULL, OUTPUT_STREAM },
	{ HTTP_GET, "/condition", NULL, CONDITION_GET },
	{ HTTP_POST, "/condition", NULL, CONDITION_SET },
	{ HTTP_POST, "/tool-actions/execute", NULL, TOOL_ACTION },
	{ HTTP_GET, "/context", NULL, CONTEXT },
	{ HTTP_GET, "/healthz", NULL, HEALTHZ },
	{ HTTP_GET, "/readyz", NULL, READYZ },
	{ HTTP_GET, "/metrics", NULL, METRICS },
};

bool routes_find(struct request *req, struct http_exchange *ex,
		 struct metrics *metrics, struct execution *x)
{
	const struct http_route *found =
		http_route_find(table, ARRAY_SIZE(table), ex, &req->params);

	if (!found)
		return false;
	req->route = &routes[found->flags];
	req->http = http_exchange_request(ex);
	req->execution = x;
	req->claims = NULL;
	reply_init(&req->reply, ex, metrics, req->route->class,
		   x ? execution_trace(x) : NULL);
	return true;
}

bool routes_is_public(const struct request *req)
{
	return !req->route->scope;
}

/* RFC 6750: no error code where no token was sent. */
void routes_refuse_token(struct request *req, int error)
{
	const struct auth_refusal refusal = auth_refusal(error);
	const struct http_header challenge = {
		"WWW-Authenticate",
		error == AUTH_E_MISSING || error == AUTH_E_SCHEME
			? "Bearer realm=\"cronium\""
			: "Bearer realm=\"cronium\", error=\"invalid_token\"",
	};

	req->reply.metrics->auth_refused++;
	if (req->execution)
		audit_refusal(req, refusal.code, NULL);
	reply_problem_with(&req->reply, 401, refusal.code, &challenge, "%s",
			   refusal.detail);
}

static bool check_token(struct request *req)
{
	const char *header = http_request_header(req->http, "authorization");
	int r = auth_check(req->execution->auth, header, clock_wall_s(),
			   &req->claims);

	if (r == 0)
		return true;
	if (r > 0)
		routes_refuse_token(req, r);
	else
		reply_problem(&req->reply, 503, "out_of_memory",
			      "the token cannot be checked now; try again");
	return false;
}

static bool check_scope(struct request *req)
{
	static const struct http_header challenge = {
		"WWW-Authenticate",
		"Bearer realm=\"cronium\", error=\"insufficient_scope\"",
	};

	if (req->claims->scopes & req->route->scope)
		return true;
	req->reply.metrics->auth_refused++;
	audit_refusal(req, "scope_missing", req->route->scope_name);
	reply_problem_with(&req->reply, 403, "scope_missing", &challenge,
			   "the token does not have the scope \"%s\" that "
			   "this call needs",
			   req->route->scope_name);
	return false;
}

void routes_run_authorized(struct request *req)
{
	if (!check_scope(req))
		return;
	req->reply.metrics->auth_ok++;
	req->route->handle(req);
}

void routes_run(struct request *req)
{
	if (routes_is_public(req))
		req->route->handle(req);
	else if (check_token(req))
		routes_run_authorized(req);
}

bool routes_is_metrics(const struct request *req)
{
	return req->route == &routes[METRICS];
}
