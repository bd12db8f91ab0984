/* The formats of JSON Schema that are checked. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TOOL_FORMAT_NAMES "email, uri, date-time, hostname, ipv4, ipv6"

struct tool_format {
	const char *name;
	const char *what; /* "an email address": for messages */
	bool (*check)(const char *s, size_t len);
};

/* NULL for a name that is not one. */
const struct tool_format *tool_format_find(const char *name);

bool tool_format_is_email(const char *s, size_t len);
bool tool_format_is_hostname(const char *s, size_t len);
