/*
 * A client of the user's ssh-agent, in the event loop: libssh2's own waits in
 * read(2). Speaks two of the agent's requests: which keys are there, and sign
 * this. One request at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

#define SSH_AGENT_KEYS_MAX 16
#define SSH_AGENT_MESSAGE_MAX_BYTES (256 * 1024)

struct event_base;
struct ssh_agent;

struct ssh_agent_key {
	uint8_t *blob;
	size_t len;
};

/* on_answer: what was asked for is there, or the agent has failed. */
int ssh_agent_new(struct ssh_agent **out, struct event_base *base,
		  const char *path, void (*on_answer)(void *ctx),
		  void *ctx) MUST_CHECK;
/* NULL is fine. */
void ssh_agent_free(struct ssh_agent *a);

enum ssh_agent_state {
	SSH_AGENT_BUSY,
	SSH_AGENT_IDLE,   /* the last request was answered */
	SSH_AGENT_FAILED, /* it cannot be reached, or makes no sense */
};
enum ssh_agent_state ssh_agent_state(const struct ssh_agent *a);

/* Asked for by ssh_agent_new(): valid in IDLE. Of the types that libssh2 can
 * use. */
size_t ssh_agent_keys(const struct ssh_agent *a,
		      const struct ssh_agent_key **out);

/* In IDLE. 0 or -ENOMEM. */
int ssh_agent_sign(struct ssh_agent *a, const struct ssh_agent_key *key,
		   const void *data, size_t len) MUST_CHECK;
/* Of the last request, without its algorithm's name; malloc()ed, the
 * receiver's. NULL: the agent refused. */
uint8_t *ssh_agent_take_signature(struct ssh_agent *a, size_t *len);
