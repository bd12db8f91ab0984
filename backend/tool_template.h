/*
 * Templates: a JSON tree whose strings may hold references.
 *
 *   {{params.a.b}} {{params}}        the call's parameters
 *   {{credentials.NAME}}             a secret
 *   {{context.job}} {{context.execution}} {{context.trace_id}}
 *   {{idempotency_key}}
 *   {{response.status}} {{response.headers.NAME}} {{response.headers}}
 *   {{response.body}} {{response.body.a.0}}      in a result only
 *
 * A string that is one reference and nothing else becomes the JSON value
 * itself; inside a longer string it is inserted as text (a string as it is,
 * everything else as JSON). What is absent: a member or an item that is
 * exactly such a reference is left out, inside a longer string it is nothing.
 * What was inserted is never looked at again. "{{{{" is a literal "{{".
 *
 * Everything that can be known is checked when it is compiled: syntax, roots,
 * credentials, parameters that the schema does not have. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct tool_path;
struct tool_schema;
struct tool_template;
struct tool_violations;

#define TOOL_TEMPLATE_DEPTH_MAX 32
#define TOOL_TEMPLATE_STRING_MAX_BYTES (64 * 1024) /* of a file's string */
#define TOOL_TEMPLATE_REFERENCES_MAX 64            /* in one string */
#define TOOL_REFERENCE_NAMES_MAX 16                /* a.b.c has three */
#define TOOL_TEMPLATE_RENDERED_MAX_BYTES (8 * 1024 * 1024) /* inserted */

#define TOOL_TEMPLATE_MASK "***"

enum tool_template_place {
	TOOL_TEMPLATE_VALUE,  /* a JSON value, a text, a form's field */
	TOOL_TEMPLATE_URL,    /* inserted text is percent-encoded; a URL that
			       * is one reference is taken as it is */
	TOOL_TEMPLATE_HEADER, /* refuses CR, LF, NUL, other controls */
};

/* What references may name, when a template is compiled. */
struct tool_template_scope {
	const struct tool_schema *params;
	const json_t *credentials; /* object: its members are the names */
	bool response;             /* {{response…}} is to be had */
};

/* What they are, when it is rendered. Borrowed for the call. */
struct tool_template_values {
	const json_t *params;        /* as tool_schema_check() filled it */
	const json_t *credentials;   /* {NAME: string}; absent: not stored */
	const json_t *context;       /* {"job","execution","trace_id"} */
	const char *idempotency_key; /* NULL: none */
	const json_t *response; /* {"status","headers","body"}; the names of
				 * headers in lower case */
	bool masked; /* credentials that are there are written as *** */
};

/* 0 with the template in *out, TOOL_E_INVALID, or -ENOMEM. path as
 * tool_schema_compile()'s. */
int tool_template_compile(const json_t *source, enum tool_template_place place,
			  const struct tool_template_scope *scope,
			  struct tool_path *path, struct tool_violations *v,
			  struct tool_template **out) MUST_CHECK;
void tool_template_free(struct tool_template *t);

/*
 * 0 with the value in *out (json_decref; it may share parts with the values,
 * so it is not to be changed); *out is NULL when the whole template is a
 * reference to what is absent. TOOL_E_INVALID: what a parameter brought does
 * not fit its place or is too much; the violation's path is the parameter's,
 * and no secret is in the message. -ENOMEM.
 */
int tool_template_render(const struct tool_template *t,
			 const struct tool_template_values *values,
			 struct tool_violations *v, json_t **out) MUST_CHECK;

/* Whether it is one reference alone; place is then its parameter's ("/a/b"),
 * else "": where a violation of its value is said. */
bool tool_template_source(const struct tool_template *t,
			  struct tool_path *place);

/* The template without a reference: its value (borrowed), else NULL. */
const json_t *tool_template_constant(const struct tool_template *t);
