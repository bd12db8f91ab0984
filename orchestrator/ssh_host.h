/*
 * A registered host, as ASSIGN's `host` says it. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct ssh_host {
	const char *name;
	const char *user;
	const char *address;
	uint16_t port;
	const char *host_key; /* SHA256:…, or NULL: the known hosts tell */
	bool direct;          /* the script calls the gateway, not a tunnel */
	bool read_only;
};

/* Points into o. 0, or -EINVAL with what is wrong in err. */
int ssh_host_parse(struct ssh_host *out, const json_t *o, char *err,
		   size_t err_size) MUST_CHECK;
/* A copy in one piece, freed with free(); NULL when out of memory. */
struct ssh_host *ssh_host_dup(const struct ssh_host *h);
/* Whether one connection serves both. */
bool ssh_host_same(const struct ssh_host *a, const struct ssh_host *b);
