#include "backend/tool_reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/tool_schema.h"
#include "backend/tool_violations.h"

#define TOOL_REFERENCE_INDEX_MAX_DIGITS 9

/* --- reading ------------------------------------------------------------- */

void tool_reference_deinit(struct tool_reference *r)
{
	for (size_t i = 0; i < r->n_names; i++)
		free(r->names[i]);
	free(r->names);
	*r = (struct tool_reference){ 0 };
}

static bool tool_reference_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Splits at the dots. 0, TOOL_E_INVALID, -ENOMEM. */
static int tool_reference_split(const char *s, size_t len,
				struct tool_reference *out)
{
	size_t start = 0;

	out->names = calloc(TOOL_REFERENCE_NAMES_MAX, sizeof(*out->names));
	if (!out->names)
		return -ENOMEM;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && tool_reference_char(s[i]))
			continue;
		if ((i < len && s[i] != '.') || i == start ||
		    out->n_names == TOOL_REFERENCE_NAMES_MAX)
			return TOOL_E_INVALID;
		out->names[out->n_names] = strndup(s + start, i - start);
		if (!out->names[out->n_names++])
			return -ENOMEM;
		start = i + 1;
	}
	return 0;
}

bool tool_reference_is(const struct tool_reference *r, const char *root)
{
	return r->n_names > 0 && !strcmp(r->names[0], root);
}

static const char *tool_reference_check_response(
	const struct tool_reference *r, const struct tool_template_scope *scope)
{
	const char *part = r->n_names > 1 ? r->names[1] : "";

	if (!scope->response)
		return "is to be had in a result only";
	if (!strcmp(part, "body") ||
	    (!strcmp(part, "headers") && r->n_names <= 3) ||
	    (!strcmp(part, "status") && r->n_names == 2))
		return NULL;
	return "is not known: a response has status, headers.NAME and body";
}

/* A credential that a parameter names is there for actions that have the
 * parameter. */
static const char *tool_reference_check_credential(
	const char *name, const struct tool_template_scope *scope)
{
	const json_t *c = json_object_get(scope->credentials, name);
	const char *from = json_string_value(json_object_get(c, "from"));
	struct tool_reference ref = { 0 };
	bool ok = true;

	if (!c)
		return "is not a credential of the tool";
	if (from && tool_reference_split(from, strlen(from), &ref) == 0 &&
	    ref.n_names > 1)
		ok = tool_schema_has(scope->params, ref.names + 1,
				     ref.n_names - 1);
	tool_reference_deinit(&ref);
	return ok ? NULL
		  : "is named by a parameter that the action does not have";
}

/* What is wrong with what it names, or NULL. */
static const char *tool_reference_check(const struct tool_reference *r,
					const struct tool_template_scope *scope)
{
	const char *second = r->n_names == 2 ? r->names[1] : "";

	if (tool_reference_is(r, "params"))
		return tool_schema_has(scope->params, r->names + 1,
				       r->n_names - 1)
			       ? NULL
			       : "is not a parameter that the action has";
	if (tool_reference_is(r, "credentials"))
		return tool_reference_check_credential(second, scope);
	if (tool_reference_is(r, "context"))
		return !strcmp(second, "job") || !strcmp(second, "execution") ||
				       !strcmp(second, "trace_id")
			       ? NULL
			       : "is not known: a context has job, execution "
				 "and trace_id";
	if (tool_reference_is(r, "idempotency_key"))
		return r->n_names == 1 ? NULL : "has no members";
	if (tool_reference_is(r, "response"))
		return tool_reference_check_response(r, scope);
	return "is not known: a reference begins with params, credentials, "
	       "context, idempotency_key or response";
}

int tool_reference_parse(const char *text, size_t len,
			 const struct tool_template_scope *scope,
			 const struct tool_path *path,
			 struct tool_violations *v, struct tool_reference *out)
{
	const char *wrong = NULL;
	int r;

	*out = (struct tool_reference){ 0 };
	for (; len > 0 && *text == ' '; len--)
		text++;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	r = len <= TOOL_REFERENCE_MAX_BYTES
		    ? tool_reference_split(text, len, out)
		    : TOOL_E_INVALID;
	if (r == TOOL_E_INVALID)
		wrong = "is not a reference: names joined by dots are "
			"expected, as in {{params.a.b}}";
	else if (r == 0)
		wrong = tool_reference_check(out, scope);
	if (wrong) {
		tool_violations_add(v, path->text, "{{%.*s}} %s",
				    (int)MIN(len, (size_t)80), text, wrong);
		r = TOOL_E_INVALID;
	}
	if (r)
		tool_reference_deinit(out);
	return r;
}

void tool_reference_place(const struct tool_reference *r, struct tool_path *out)
{
	tool_path_init(out, "");
	if (!tool_reference_is(r, "params"))
		return;
	for (size_t i = 1; i < r->n_names; i++)
		tool_path_push(out, r->names[i]);
}

void tool_reference_text(const struct tool_reference *r, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < r->n_names && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s",
					i ? "." : "", r->names[i]);
}

/* --- values -------------------------------------------------------------- */

static const json_t *tool_reference_item(const json_t *array, const char *name)
{
	size_t n = strlen(name);

	if (strspn(name, "0123456789") != n ||
	    n > TOOL_REFERENCE_INDEX_MAX_DIGITS)
		return NULL;
	return json_array_get(array, strtoul(name, NULL, 10));
}

const json_t *tool_reference_follow(const json_t *v, char *const *names,
				    size_t n)
{
	for (size_t i = 0; i < n && v; i++)
		v = json_is_array(v) ? tool_reference_item(v, names[i])
				     : json_object_get(v, names[i]);
	return v;
}

/* The names of headers know no case; values have them in lower case. */
static const json_t *tool_reference_header(const json_t *headers,
					   const char *name)
{
	char lower[TOOL_REFERENCE_MAX_BYTES + 1];
	size_t n = strlen(name);

	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	return json_object_get(headers, lower);
}

static const json_t *tool_reference_find(
	const struct tool_reference *r,
	const struct tool_template_values *values)
{
	if (tool_reference_is(r, "params"))
		return tool_reference_follow(values->params, r->names + 1,
					     r->n_names - 1);
	if (tool_reference_is(r, "credentials"))
		return json_object_get(values->credentials, r->names[1]);
	if (tool_reference_is(r, "context"))
		return json_object_get(values->context, r->names[1]);
	if (r->n_names == 3 && !strcmp(r->names[1], "headers"))
		return tool_reference_header(json_object_get(values->response,
							     "headers"),
					     r->names[2]);
	return tool_reference_follow(values->response, r->names + 1,
				     r->n_names - 1);
}

json_t *tool_reference_value(const struct tool_reference *r,
			     const struct tool_template_values *values,
			     int *error)
{
	const char *text = NULL;
	json_t *v;

	if (tool_reference_is(r, "idempotency_key")) {
		if (!values->idempotency_key)
			return NULL;
		text = values->idempotency_key;
	} else {
		const json_t *found = tool_reference_find(r, values);

		if (!found)
			return NULL;
		if (!values->masked || !tool_reference_is(r, "credentials"))
			return json_incref((json_t *)found);
		text = TOOL_TEMPLATE_MASK;
	}
	v = json_string(text);
	if (!v)
		*error = -ENOMEM;
	return v;
}
