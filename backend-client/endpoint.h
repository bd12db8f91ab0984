/* Where the backend is: "unix:/path", "http://host:port", "https://host:port".
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

enum endpoint_kind { ENDPOINT_UNIX, ENDPOINT_TCP, ENDPOINT_TLS };

struct endpoint {
	enum endpoint_kind kind;
	char *host;      /* unix: the path; IPv6 without brackets */
	char *authority; /* for :authority */
	uint16_t port;
};

/* 0, -EINVAL or -ENOMEM. */
int endpoint_parse(struct endpoint *out, const char *text) MUST_CHECK;
void endpoint_deinit(struct endpoint *e);
const char *endpoint_scheme(const struct endpoint *e);
