#include "backend/tool_request_check.h"

#include <string.h>
#include <strings.h>

#include "backend/tool_request.h"
#include "common/macro.h"

static const struct tool_method {
	const char *name;
	bool idempotent;
} tool_methods[] = {
	{ "GET", true },     { "HEAD", true },   { "POST", false },
	{ "PUT", true },     { "PATCH", false }, { "DELETE", true },
	{ "OPTIONS", true },
};

static const struct tool_method *tool_method_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tool_methods); i++)
		if (!strcmp(tool_methods[i].name, name))
			return &tool_methods[i];
	return NULL;
}

bool tool_method_valid(const char *method)
{
	return tool_method_find(method) != NULL;
}

bool tool_method_idempotent(const char *method)
{
	const struct tool_method *m = tool_method_find(method);

	return m && m->idempotent;
}

/* --- headers ------------------------------------------------------------- */

const char *tool_header_name_problem(const char *name)
{
	/* They say how the message is cut, or whom it is for. */
	static const char *const refused[] = {
		"connection", "content-length",    "expect",
		"host",       "keep-alive",        "te",
		"trailer",    "transfer-encoding", "upgrade",
	};
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789!#$%&'*+-.^_`|~");

	if (n == 0 || name[n] || n > TOOL_HEADER_NAME_MAX_BYTES)
		return "is not a good name for a header";
	if (!strncasecmp(name, "proxy-", 6))
		return "is a header that cannot be set";
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (!strcasecmp(refused[i], name))
			return "is a header that cannot be set";
	return NULL;
}

const char *tool_header_value_problem(const char *value)
{
	size_t n = 0;

	for (; value[n]; n++)
		if (((unsigned char)value[n] < 0x20 && value[n] != '\t') ||
		    value[n] == 0x7f)
			return "must not have line breaks or other control "
			       "characters";
	return n > TOOL_HEADER_VALUE_MAX_BYTES ? "is too long for a header"
					       : NULL;
}

/* --- URLs ---------------------------------------------------------------- */

/* Whether the len bytes are "." or "..", escaped or not. */
static bool tool_is_dots(const char *s, size_t len)
{
	size_t dots = 0;

	while (len > 0) {
		size_t n = 1;

		if (len >= 3 && !strncasecmp(s, "%2e", 3))
			n = 3;
		else if (*s != '.')
			return false;
		s += n;
		len -= n;
		dots++;
	}
	return dots == 1 || dots == 2;
}

static bool tool_has_dots(const char *path)
{
	while (*path && *path != '?' && *path != '#') {
		size_t n = strcspn(path, "/?#");

		if (tool_is_dots(path, n))
			return true;
		path += n;
		path += *path == '/';
	}
	return false;
}

static const char *tool_authority_problem(const char *s)
{
	size_t n = strcspn(s, "/?#");

	if (n == 0)
		return "must have a host";
	if (memchr(s, '@', n))
		return "must not have a user in it";
	if (strspn(s, "abcdefghijklmnopqrstuvwxyz"
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		      "0123456789-._:[]") < n)
		return "must have a host of letters, digits, - and . alone";
	return NULL;
}

static const char *tool_url_bytes_problem(const char *url)
{
	size_t n = strlen(url);

	if (n > TOOL_URL_MAX_BYTES)
		return "is too long for a URL";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)url[i] <= 0x20 ||
		    (unsigned char)url[i] >= 0x7f || url[i] == '\\')
			return "must be a URL in which blanks and everything "
			       "beyond ASCII are percent-encoded";
	return NULL;
}

const char *tool_url_problem(const char *url, bool dots)
{
	const char *problem = tool_url_bytes_problem(url);
	const char *authority;

	if (problem)
		return problem;
	if (strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8))
		return "must be a URL that begins with https:// or http://";
	authority = strchr(url, ':') + 3;
	problem = tool_authority_problem(authority);
	if (problem)
		return problem;
	if (!dots && tool_has_dots(authority + strcspn(authority, "/?#")))
		return "must not have . or .. as a part of its path";
	return NULL;
}

const char *tool_server_problem(const char *url)
{
	const char *problem = tool_url_bytes_problem(url);

	if (problem)
		return problem;
	if (strncasecmp(url, "smtp://", 7) && strncasecmp(url, "smtps://", 8))
		return "must be a URL that begins with smtps:// or smtp://";
	return tool_authority_problem(strchr(url, ':') + 3);
}
