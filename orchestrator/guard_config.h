/* What --guard says: "cpu=80,memory=90,average=1m", or "off". Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"

struct buf;

#define GUARD_DEFAULTS                                                 \
	"cpu=80,memory=80,disk=80,pressure=80,zombies=80,average=30s," \
	"cool-down=5s"
#define GUARD_AVERAGE_MAX_MS (10 * 60 * 1000)
#define GUARD_COOL_DOWN_MAX_MS (60 * 60 * 1000)

enum guard_metric {
	GUARD_CPU,
	GUARD_MEMORY,
	GUARD_DISK,
	GUARD_PRESSURE,
	GUARD_ZOMBIES,
	GUARD_METRICS,
};

struct guard_config {
	bool off;
	uint32_t percent[GUARD_METRICS]; /* 0: this one is not looked at */
	uint64_t average_ms, cool_down_ms;
};

enum { GUARD_E_INVALID = 1 }; /* all that is wrong is in why */

/* What text does not name has its default. 0, GUARD_E_INVALID or -ENOMEM. */
int guard_config_parse(struct guard_config *out, const char *text,
		       struct buf *why) MUST_CHECK;
