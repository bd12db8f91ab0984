/*
 * An action's request, rendered: what the wire will say, credentials in
 * place. With values->masked it is what dry_run shows: the same, credentials
 * as ***, signatures too. Pure.
 *
 * What a parameter could smuggle in is refused here: line breaks in headers
 * and addresses, headers of the connection (Host, Content-Length, …), dot
 * segments in a URL's path, schemes but http and https, a user in a URL. The
 * address that is connected to is the sender's to check.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "backend/tool_file.h"
#include "common/buf.h"
#include "common/macro.h"

struct tool_template_values;
struct tool_violations;

#define TOOL_URL_MAX_BYTES 8192
#define TOOL_HEADERS_MAX 64
#define TOOL_HEADER_NAME_MAX_BYTES 128
#define TOOL_HEADER_VALUE_MAX_BYTES 8192
#define TOOL_RECIPIENTS_MAX 100
#define TOOL_FIELDS_MAX 1024 /* of a query or a form */

enum {
	/* TOOL_E_INVALID = 1 (tool_schema.h) */
	TOOL_REQUEST_E_CREDENTIALS = 2, /* no way to do it with what is
					 * there; the violation says what is
					 * missing */
};

struct tool_header {
	char *name, *value; /* value may be empty */
};

struct tool_email {
	char *server, *username, *password; /* the last two: or NULL */
	char *from;                         /* as given: "Name <a@b>" or a@b */
	char **to, **cc, **bcc;
	size_t n_to, n_cc, n_bcc; /* at least one in all */
	char *reply_to;           /* or NULL */
	char *subject;            /* UTF-8, one line, "" */
	char *text, *html;        /* or NULL, not both NULL */
};

struct tool_rendered {
	enum tool_request_kind kind;
	bool idempotent;
	/* http */
	char *method, *url;          /* the query included */
	struct tool_header *headers; /* Content-Type and auth included */
	size_t n_headers;
	bool has_body;
	struct buf body;
	struct tool_email email;
};

/*
 * Takes the first of the action's requests whose `when` holds. 0,
 * TOOL_E_INVALID (the violations' paths are parameters), or
 * TOOL_REQUEST_E_CREDENTIALS, or -ENOMEM. *out is to be freed after 0 only.
 */
int tool_request_render(const struct tool_action *a,
			const struct tool_template_values *values,
			struct tool_violations *v,
			struct tool_rendered **out) MUST_CHECK;
/* Overwrites what it frees: it holds credentials. */
void tool_rendered_free(struct tool_rendered *r);

/*
 * For dry_run, of what was rendered with values->masked: {"method","url",
 * "headers":{…},"body":VALUE|"text"} or {"server","username","from","to",…}.
 * 0 or -ENOMEM.
 */
int tool_rendered_describe(const struct tool_rendered *r,
			   json_t **out) MUST_CHECK;

/* "Ann <a@b.org>" or "a@b.org": where the address is. False: not one. */
bool tool_email_address(const char *text, const char **start, size_t *len);
