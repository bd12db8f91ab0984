/* Where the backend is: "unix:/path", "http://host:port", "https://host:port".
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
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
/* Backends that are the same to us: "A,B". One is used while it works, then the
 * next one. */
#define ENDPOINTS_MAX 8
#define ENDPOINTS_MAX_BYTES 2048

struct endpoint_list {
	struct endpoint items[ENDPOINTS_MAX];
	size_t n, at; /* the one that is used */
};

/* 0, -EINVAL or -ENOMEM. Of several none may be unix:, which is this
 * machine's own. */
int endpoint_list_parse(struct endpoint_list *out, const char *text) MUST_CHECK;
void endpoint_list_deinit(struct endpoint_list *l);
static inline const struct endpoint *endpoint_list_get(
	const struct endpoint_list *l)
{
	return &l->items[l->at];
}
static inline void endpoint_list_next(struct endpoint_list *l)
{
	l->at = (l->at + 1) % l->n;
}
bool endpoint_list_has_tls(const struct endpoint_list *l);
const char *endpoint_scheme(const struct endpoint *e);
