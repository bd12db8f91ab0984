#include "common/http/router.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/http/problem.h"
#include "common/percent.h"

#define ALLOW_MAX_BYTES 96

static const char *const METHOD_NAMES[] = {
	[HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",
	[HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
	[HTTP_DELETE] = "DELETE",   [HTTP_PATCH] = "PATCH",
	[HTTP_OPTIONS] = "OPTIONS",
};

/* --- matching ----------------------------------------------------------- */

enum match { MATCH_NO, MATCH_YES, MATCH_BAD };

/* Bytes up to the next '/' or the end. */
static size_t segment_span(const char *s)
{
	return (size_t)(strchrnul(s, '/') - s);
}

static enum match match_param(const char *pattern, size_t pattern_len,
			      const char *segment, size_t len,
			      struct http_params *params)
{
	size_t i = params->n;

	if (!len || i >= HTTP_ROUTE_PARAMS_MAX)
		return MATCH_NO;
	params->names[i] = pattern + 1; /* ends at '}' */
	params->n++;
	if (percent_decode(segment, len, false, params->values[i],
			   sizeof(params->values[i])) < 0)
		return MATCH_BAD;
	return MATCH_YES;
}

static enum match match_segment(const char *pattern, size_t pattern_len,
				const char *segment, size_t len,
				struct http_params *params)
{
	if (pattern_len > 2 && pattern[0] == '{')
		return match_param(pattern, pattern_len, segment, len, params);
	return pattern_len == len && memcmp(pattern, segment, len) == 0
		       ? MATCH_YES
		       : MATCH_NO;
}

static enum match match_path(const char *pattern, const char *path,
			     struct http_params *params)
{
	enum match m, result = MATCH_YES;

	params->n = 0;
	while (*pattern == '/' && *path == '/') {
		size_t pattern_len, len;

		/* Most routes end here: no need to see how long both are. */
		if (*++pattern != *++path && *pattern != '{')
			return MATCH_NO;
		pattern_len = segment_span(pattern);
		len = segment_span(path);
		m = match_segment(pattern, pattern_len, path, len, params);
		if (m == MATCH_NO)
			return m;
		if (m == MATCH_BAD)
			result = m;
		pattern += pattern_len;
		path += len;
	}
	return *pattern || *path ? MATCH_NO : result;
}

static bool method_matches(const struct http_route *route,
			   enum http_method method)
{
	return route->method == method ||
	       (method == HTTP_HEAD && route->method == HTTP_GET);
}

/* --- answering what has no route ---------------------------------------- */

static void add_allowed(char *allow, enum http_method method)
{
	size_t n = strlen(allow);

	if (strstr(allow, METHOD_NAMES[method]))
		return;
	snprintf(allow + n, ALLOW_MAX_BYTES - n, "%s%s", n ? ", " : "",
		 METHOD_NAMES[method]);
}

static void answer_not_allowed(struct http_exchange *ex, const char *allow)
{
	const struct http_request *req = http_exchange_request(ex);

	http_problem_with(ex, 405, "method_not_allowed",
			  &(struct http_header){ "Allow", allow }, 1,
			  "%s is not possible on %s; possible are: %s",
			  METHOD_NAMES[req->method], req->path, allow);
}

static void answer_none(struct http_exchange *ex, const char *allow, bool bad)
{
	const char *path = http_exchange_request(ex)->path;

	if (bad)
		http_problem(ex, 400, "bad_path", NULL,
			     "a part of the path %s is too long, or has an "
			     "escape that is not allowed",
			     path);
	else if (*allow)
		answer_not_allowed(ex, allow);
	else
		http_problem(ex, 404, "not_found", NULL,
			     "there is nothing at %s", path);
}

const struct http_route *http_route_find(const struct http_route *routes,
					 size_t n, struct http_exchange *ex,
					 struct http_params *params)
{
	const struct http_request *req = http_exchange_request(ex);
	char allow[ALLOW_MAX_BYTES] = "";
	bool bad = false;
	size_t i;

	for (i = 0; i < n; i++) {
		enum match m = match_path(routes[i].pattern, req->path, params);

		if (m == MATCH_NO)
			continue;
		if (m == MATCH_BAD) {
			bad = true;
			continue;
		}
		if (method_matches(&routes[i], req->method))
			return &routes[i];
		add_allowed(allow, routes[i].method);
		if (routes[i].method == HTTP_GET)
			add_allowed(allow, HTTP_HEAD);
	}
	answer_none(ex, allow, bad);
	return NULL;
}

const char *http_param(const struct http_params *p, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < p->n; i++)
		if (strncmp(p->names[i], name, len) == 0 &&
		    p->names[i][len] == '}')
			return p->values[i];
	return "";
}

/* --- the query ---------------------------------------------------------- */

int http_query_get(const char *query, const char *name, char *out, size_t size)
{
	size_t name_len = strlen(name);

	out[0] = '\0';
	while (*query) {
		size_t len = strcspn(query, "&");
		size_t key = strcspn(query, "=&");

		if (key == name_len && memcmp(query, name, key) == 0) {
			size_t skip = key + (key < len);
			int r = percent_decode(query + skip, len - skip, true,
					       out, size);

			return r < 0 ? r : 1;
		}
		query += len;
		query += *query == '&';
	}
	return 0;
}
