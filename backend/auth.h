/*
 * Who is calling:
 *
 *   TCP                   an API key (administrator) or a backend token
 *   RUN/api.sock          peer uid 0 or ours: administrator
 *   RUN/runtime/…         a backend token, and /v1/runtime only
 *
 * A token counts only while its execution is claimed or running. It is parsed
 * and its signature checked once, then known by its SHA-256.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define AUTH_KEY_PREFIX "cro_"
#define AUTH_KEY_TOUCH_MS (60 * 1000) /* last_used is this coarse */
#define AUTH_KEY_NAME_MAX_BYTES 100
/* Of callers that are no execution; of one, see refusals.h. The rest is not
 * audited. */
#define AUTH_REFUSALS_PER_MIN 60

struct api_call;
struct auth;
struct backend;
struct live_token;
struct store_api_key;

/* http_peer.listener_tag */
enum auth_listener { AUTH_TCP = 1, AUTH_API_SOCKET, AUTH_RUNTIME_SOCKET };
const void *auth_listener_tag(enum auth_listener l);

enum auth_kind { AUTH_NOBODY, AUTH_ADMIN, AUTH_EXECUTION };

struct auth_caller {
	enum auth_kind kind;
	char who[64];             /* for the audit log */
	struct live_token *token; /* AUTH_EXECUTION: referenced */
};

int auth_new(struct auth **out, struct backend *b) MUST_CHECK;
void auth_free(struct auth *a);

/* Finds out who is calling and whether they may take this route; false after
 * having answered 401 or 403. */
bool auth_check(struct auth *a, struct api_call *call);

/* Writes an audit entry about something that the caller may not do. */
void auth_audit_refusal(struct auth *a, const struct api_call *call,
			const char *action, const char *target,
			const char *code);

/* The keys that are known, beside the one in the file. 0 or -ENOMEM. */
int auth_key_add(struct auth *a, const struct store_api_key *key) MUST_CHECK;
/* All that there are: others are gone. */
int auth_keys_replace(struct auth *a, const struct store_api_key *keys,
		      size_t n) MUST_CHECK;
void auth_key_remove(struct auth *a, const char *id);
/* A new random key: AUTH_KEY_PREFIX and 43 characters. */
#define AUTH_KEY_BYTES 48
int auth_key_generate(char key[AUTH_KEY_BYTES]) MUST_CHECK;
