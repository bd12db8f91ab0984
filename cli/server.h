/*
 * Which server a command speaks to, the first that there is:
 *
 *   1. --server, or $CRONIUM_URL; the key in $CRONIUM_API_KEY, whom to trust
 *      in $CRONIUM_CA_FILE
 *   2. "url", "api_key" and "ca_file" in $XDG_CONFIG_HOME/cronium/config
 *   3. the one that runs here: RUN/up.sock or RUN/api.sock; for root also
 *      /var/lib/cronium/run/api.sock
 *   4. an embedded one, which lives as long as commands use it and jobs run
 */
#pragma once

#include <stdbool.h>

#include "cli/local.h"
#include "cli/place.h"
#include "common/macro.h"

struct cli_globals;

struct server {
	char *url; /* as backend-client takes it */
	char *api_key;
	char *ca_file;
	struct local_hold hold;
	struct place place;
};

/* 0, or negative errno after an error message. */
int server_open(struct server *out,
		const struct cli_globals *globals) MUST_CHECK;
/* 1. and 2. only: true when one is configured. */
bool server_configured(struct server *out, const struct cli_globals *globals);
void server_close(struct server *s);

/* An embedded server cancels the job when this process is gone. */
void server_attach(const struct server *s, const char *job);
void server_detach(const struct server *s, const char *job);
