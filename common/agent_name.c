#include "common/agent_name.h"

#include <string.h>

bool agent_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= AGENT_NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-") == len;
}
