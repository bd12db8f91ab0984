/*
 * What may stand in a request's target and authority (RFC 3986, narrowed to
 * what cannot be misread). Shared by HTTP/1.1 and HTTP/2. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A path that starts with '/', and after '?' a query: allowed characters
 * only, every percent sign followed by two hex digits, no fragment. */
bool target_valid(const char *s, size_t len);

/* host, host:port, [v6] or [v6]:port; letters, digits and "-._~" in names;
 * never empty, no user name. */
bool target_authority_valid(const char *s, size_t len);

/* Length of the authority in an absolute target ("http://host/path"), whose
 * start is put in *authority; 0 if it is not one. */
size_t target_absolute(const char *s, size_t len, const char **authority);
