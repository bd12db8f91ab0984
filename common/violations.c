#include "common/violations.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void violations_add(struct violations *v, const char *member, const char *fmt,
		    ...)
{
	const char *prefix = v->prefix ? v->prefix : "";
	char text[VIOLATION_MESSAGE_MAX_BYTES];
	va_list ap;

	if (++v->n > VIOLATIONS_MAX || v->error)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->error = buf_printf(v->out, "%s%s%s%.80s: %s",
			      v->out->len ? "; " : "", prefix,
			      *prefix && *member ? "." : "", member, text);
}

int violations_end(struct violations *v)
{
	if (!v->error && v->n > VIOLATIONS_MAX)
		v->error = buf_printf(v->out, "; and %u more",
				      v->n - VIOLATIONS_MAX);
	if (v->error)
		return -ENOMEM;
	return v->n ? VIOLATIONS_E_SOME : 0;
}
