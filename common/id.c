#include "common/id.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"

#define ID_CHARS 26

static const char id_alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void id_new(const char *prefix, char out[ID_MAX_BYTES])
{
	uint8_t random[ID_CHARS];
	uint64_t ms = (uint64_t)clock_wall_ms();
	int n = snprintf(out, ID_MAX_BYTES - ID_CHARS, "%.12s_", prefix);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		abort();
	for (int i = 9; i >= 0; i--, ms >>= 5)
		out[n + i] = id_alphabet[ms & 31];
	for (int i = 10; i < ID_CHARS; i++)
		out[n + i] = id_alphabet[random[i] & 31];
	out[n + ID_CHARS] = '\0';
}

bool id_valid(const char *prefix, const char *id)
{
	size_t n = strlen(prefix);

	if (strncmp(id, prefix, n) != 0 || id[n] != '_')
		return false;
	id += n + 1;
	return strlen(id) == ID_CHARS && strspn(id, id_alphabet) == ID_CHARS;
}
