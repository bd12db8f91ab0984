#include "common/var_key.h"

#include <string.h>

#define VAR_KEY_CHARS                                          \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
	"0123456789._:/-"

static bool var_key_check(const char *s, const char *allowed)
{
	size_t len = strnlen(s, VAR_KEY_MAX_BYTES + 1);

	return len > 0 && len <= VAR_KEY_MAX_BYTES && strspn(s, allowed) == len;
}

bool var_key_valid(const char *key)
{
	return var_key_check(key, VAR_KEY_CHARS);
}

bool var_pattern_valid(const char *pattern)
{
	return var_key_check(pattern, VAR_KEY_CHARS "*");
}
