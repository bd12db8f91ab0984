#include "common/trace.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/hex.h"

#define TRACE_DIGITS 32
#define TRACE_PARENT_DIGITS 16
/* "VV-TRACE-PARENT-FF", VV being 00; later versions may go on after it. */
#define TRACEPARENT_CHARS (TRACE_PARENT_BYTES - 1)
#define TRACE_POOL 32 /* numbers: 256 bytes come whole, see getrandom(2) */

static bool trace_digits(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") == n;
}

const char *trace_find(const char *traceparent)
{
	const char *id, *parent, *flags;

	if (strlen(traceparent) < TRACEPARENT_CHARS ||
	    !trace_digits(traceparent, 2) || !memcmp(traceparent, "ff", 2) ||
	    (!memcmp(traceparent, "00", 2) && traceparent[TRACEPARENT_CHARS]))
		return NULL;
	id = traceparent + 3;
	parent = id + TRACE_DIGITS + 1;
	flags = parent + TRACE_PARENT_DIGITS + 1;
	if (id[-1] != '-' || !trace_digits(id, TRACE_DIGITS) ||
	    parent[-1] != '-' || !trace_digits(parent, TRACE_PARENT_DIGITS) ||
	    flags[-1] != '-' || !trace_digits(flags, 2))
		return NULL;
	return strspn(id, "0") == TRACE_DIGITS ? NULL : id;
}

bool trace_id_valid(const char *id)
{
	return strlen(id) == TRACE_DIGITS && trace_digits(id, TRACE_DIGITS) &&
	       strspn(id, "0") != TRACE_DIGITS;
}

/* Bought in bulk: no system call for each request. Not counted on from the last
 * one, which would tell how much is asked for elsewhere. */
static uint64_t take_random(void)
{
	static uint64_t pool[TRACE_POOL];
	static size_t left;

	if (!left && getrandom(pool, sizeof(pool), 0) == sizeof(pool))
		left = TRACE_POOL;
	if (!left) /* an id that is not told apart is better than no reply */
		return (uint64_t)getpid();
	return pool[--left];
}

void trace_new(char out[TRACE_BYTES])
{
	uint64_t id[2] = { take_random(), take_random() };

	id[0] |= !id[0] && !id[1];
	hex_encode(id, sizeof(id), out);
	out[TRACE_DIGITS] = '\0';
}

static uint64_t span_new(void)
{
	uint64_t id;

	do
		id = take_random();
	while (!id);
	return id;
}

void trace_parent(const char trace[TRACE_BYTES], char out[TRACE_PARENT_BYTES])
{
	uint64_t span = span_new();
	char *p = out;

	memcpy(p, "00-", 3);
	p += 3;
	memcpy(p, trace, TRACE_DIGITS);
	p += TRACE_DIGITS;
	*p++ = '-';
	hex_encode(&span, sizeof(span), p);
	p += TRACE_PARENT_DIGITS;
	memcpy(p, "-01", 4);
}
