/*
 * What a request may not have, whoever put it there. Each returns what is
 * wrong (static), or NULL. No value is in the text: it may be a secret. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TOOL_METHOD_NAMES "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

bool tool_method_valid(const char *method);
/* What HTTP calls idempotent (RFC 9110). */
bool tool_method_idempotent(const char *method);

const char *tool_header_name_problem(const char *name);
const char *tool_header_value_problem(const char *value);

/* dots: "." and ".." may be segments of the path. */
const char *tool_url_problem(const char *url, bool dots);
/* smtp://HOST:PORT or smtps:// */
const char *tool_server_problem(const char *url);
