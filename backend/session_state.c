#include "backend/session_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/id.h"

static const char *const session_states[SESSION_STATES] = {
	[SESSION_ACTIVE] = "active",
	[SESSION_PAUSED] = "paused",
	[SESSION_ENDED] = "ended",
};

const char *session_state_name(enum session_state s)
{
	return (unsigned int)s < SESSION_STATES ? session_states[s] : "?";
}

int session_state_parse(const char *name, enum session_state *out)
{
	for (unsigned int i = 0; i < SESSION_STATES; i++)
		if (!strcmp(name, session_states[i])) {
			*out = (enum session_state)i;
			return 0;
		}
	return -EINVAL;
}

bool session_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SESSION_NAME_MAX_BYTES && *name != '.' &&
	       *name != '-' &&
	       strncmp(name, SESSION_ID_PREFIX "_",
		       strlen(SESSION_ID_PREFIX "_")) != 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-") == len;
}

bool session_ref_valid(const char *ref)
{
	return id_valid(SESSION_ID_PREFIX, ref) || session_name_valid(ref);
}

void session_end_reason(const char *name, const char *reason,
			char out[SESSION_END_REASON_BYTES])
{
	snprintf(out, SESSION_END_REASON_BYTES, "its session %s was ended%s%s",
		 name, reason ? ": " : "", reason ? reason : "");
}
