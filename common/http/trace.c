#include "common/http/trace.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/http/server.h"

#define TRACE_DIGITS 32
#define TRACE_PARENT_DIGITS 16
/* "VV-TRACE-PARENT-FF", VV being 00; later versions may go on after it. */
#define TRACEPARENT_BYTES 55

static bool trace_digits(const char *s, size_t n)
{
	return strspn(s, "0123456789abcdef") == n;
}

/* Where the id begins, or NULL for what is no traceparent. */
static const char *trace_in(const char *traceparent)
{
	const char *id, *parent, *flags;

	if (strlen(traceparent) < TRACEPARENT_BYTES ||
	    !trace_digits(traceparent, 2) || !memcmp(traceparent, "ff", 2) ||
	    (!memcmp(traceparent, "00", 2) && traceparent[TRACEPARENT_BYTES]))
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

/* Random per process, counted within: no system call for each request. */
static void trace_new(char *out)
{
	static uint64_t process, count;
	uint64_t id[2];

	while (!process)
		if (getrandom(&process, sizeof(process), 0) < 0)
			process = (uint64_t)getpid();
	id[0] = process;
	id[1] = htobe64(++count);
	hex_encode(id, sizeof(id), out);
}

void http_trace_id(const struct http_request *req, char out[HTTP_TRACE_BYTES])
{
	const char *given = http_request_header(req, "traceparent");
	const char *id = given ? trace_in(given) : NULL;

	if (id)
		memcpy(out, id, TRACE_DIGITS);
	else
		trace_new(out);
	out[TRACE_DIGITS] = '\0';
}
