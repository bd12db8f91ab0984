/* What an agent may be called. Pure. */
#pragma once

#include <stdbool.h>

#define AGENT_NAME_MAX_BYTES 64
#define AGENT_NAME_RULE "1 to 64 letters, digits, . _ -"

bool agent_name_valid(const char *name);
