#include "cli/patience.h"

#include "cli/output.h"
#include "common/clock.h"

void patience_heard(struct patience *p)
{
	*p = (struct patience){ .heard_ms = clock_mono_ms() };
}

bool patience_lasts(struct patience *p, const char *why)
{
	uint64_t away_ms = clock_mono_ms() - p->heard_ms;

	if (away_ms > PATIENCE_MS)
		return false;
	if (away_ms > PATIENCE_WARN_MS && !p->warned) {
		output_warn("the server is away (%s); waiting for it", why);
		p->warned = true;
	}
	return true;
}
