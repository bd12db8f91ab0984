/*
 * A tool: one file (docs/tools.md), compiled. Immutable once it is loaded, so
 * it may be shared; the registry counts references. Everything that is wrong
 * with a file is said at once. Pure.
 *
 *     tool_file_load() ─▶ struct tool ─▶ per call: tool_schema_check(params)
 *       ─▶ the credentials, from the store ─▶ tool_request_render()
 *       (tool_request.h) ─▶ sent ─▶ tool_action_result()
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct tool_schema;
struct tool_template;
struct tool_template_values;
struct tool_violations;

#define TOOL_NAME_MAX_BYTES 64
#define TOOL_SUMMARY_MAX_BYTES 500
#define TOOL_CREDENTIALS_MAX 16
#define TOOL_ACTIONS_MAX 64
#define TOOL_REQUESTS_MAX 4 /* the ways to do one action */
#define TOOL_WHEN_MAX 8
#define TOOL_TIMEOUT_MAX_MS (10 * 60 * 1000)
#define TOOL_RETRY_ELAPSED_MAX_MS (60 * 60 * 1000)
#define TOOL_REDIRECTS_MAX 10

#define TOOL_TIMEOUT_DEFAULT_MS 30000
#define TOOL_RETRY_INITIAL_DEFAULT_MS 500
#define TOOL_RETRY_MAX_DEFAULT_MS 10000
#define TOOL_RETRY_ELAPSED_DEFAULT_MS 60000

/* A reference without its braces: {"params","a","b"} or
 * {"credentials","token"}. */
struct tool_reference {
	char **names;
	size_t n_names;
};

/*
 * A secret. Either the file names its key in the store, or the script does, in
 * a parameter: then the script must be allowed to read it (vars_read), and
 * where it does not name one, the credential is absent.
 */
struct tool_credential {
	char *name;                 /* in templates: {{credentials.NAME}} */
	char *secret;               /* the store's key, or NULL: */
	struct tool_reference from; /* the parameter, "params" not included */
	char *summary;              /* or NULL */
	bool optional; /* false: without it, 424 credential_missing. Where
			* from is used it says nothing: a secret that the
			* script names must be there */
};

/* Which statuses, 100 to 599. */
struct tool_statuses {
	uint64_t bits[8];
};

struct tool_retry {
	int64_t initial_ms;     /* before the second try, then doubled */
	int64_t max_ms;         /* the longest wait */
	int64_t max_elapsed_ms; /* all tries together; 0: one try */
	bool on_given;
	struct tool_statuses on; /* where given; else see tool_retry_on() */
};

enum tool_idempotent {
	TOOL_IDEMPOTENT_NO,
	TOOL_IDEMPOTENT_YES,
	TOOL_IDEMPOTENT_METHOD, /* where HTTP says so of the method */
};

enum tool_request_kind {
	TOOL_REQUEST_HTTP,
	TOOL_REQUEST_EMAIL,
};

/* One way to do an action; the templates are NULL where they are not given. */
struct tool_request {
	enum tool_request_kind kind;
	struct tool_reference when[TOOL_WHEN_MAX]; /* all must be there */
	size_t n_when;
	/* http */
	struct tool_template *method, *url, *headers, *query;
	struct tool_template *json, *form, *text; /* one may be present */
	struct tool_template *bearer, *username, *password; /* auth */
	struct tool_template *header_name, *header_value;   /* auth, too */
	struct tool_template *hmac_secret;
	char *hmac_header; /* "sha256=" and the body's HMAC in hex */
	/* email: `server` is smtp://HOST:PORT or smtps://; username and
	 * password as above */
	struct tool_template *server, *from, *to, *cc, *bcc, *reply_to;
	struct tool_template *subject, *html; /* and text */
};

struct tool_action {
	char *name;
	char *summary;         /* or NULL */
	json_t *params_source; /* the schema as it is enforced, to be shown */
	struct tool_schema *params;
	struct tool_request *requests; /* the first whose `when` holds */
	size_t n_requests;
	int64_t timeout_ms; /* of one try */
	struct tool_retry retry;
	enum tool_idempotent idempotent;
	struct tool_statuses success;     /* http */
	struct tool_schema *success_body; /* what the body must be, or NULL */
	int follow_redirects;             /* how many */
	struct tool_template *result;     /* NULL: {{response.body}} */
};

struct tool {
	char *name;
	char *summary; /* or NULL */
	struct tool_credential *credentials;
	size_t n_credentials;
	struct tool_action *actions;
	size_t n_actions;
};

/*
 * file: its name, which says the format (.json or YAML) and, without its
 * suffix, must be the tool's name. 0 with the tool in *out, TOOL_E_INVALID
 * (tool_schema.h) with the violations (a syntax error has an empty path and
 * line and column in its message), or -ENOMEM.
 */
int tool_file_load(const char *file, const void *text, size_t len,
		   struct tool_violations *v, struct tool **out) MUST_CHECK;
void tool_free(struct tool *t);

/* NULL when there is none. */
const struct tool_action *tool_action_find(const struct tool *t,
					   const char *name);

bool tool_name_valid(const char *name);

/* The key that the script names for a credential with `from`; NULL: none. */
const char *tool_credential_named(const struct tool_credential *c,
				  const json_t *params);

bool tool_statuses_has(const struct tool_statuses *s, int status);

/*
 * Whether a reply of this status is worth another try: the file's `on`, else
 * 429 and 503, and for what is idempotent also 408, 500, 502 and 504.
 */
bool tool_retry_on(const struct tool_retry *r, bool idempotent, int status);

/*
 * Whether values->response is a success: its status and, where the file asks
 * for it, its body. *reason (static, or NULL) says what was not.
 */
bool tool_action_succeeded(const struct tool_action *a, const json_t *response,
			   const char **reason);

/*
 * The action's result from values->response. 0 with *out (json_decref, null
 * where it is absent), TOOL_E_INVALID, or -ENOMEM.
 */
int tool_action_result(const struct tool_action *a,
		       const struct tool_template_values *values,
		       struct tool_violations *v, json_t **out) MUST_CHECK;

/* The files that are built in, by name; the last has a NULL name. Made from
 * backend/tools/ by the build. */
struct tool_builtin {
	const char *file;
	const char *text;
	size_t len;
};

extern const struct tool_builtin tool_builtins[];
