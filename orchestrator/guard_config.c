#include "orchestrator/guard_config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/options.h"
#include "common/violations.h"

#define GUARD_ITEM_BYTES 64
#define GUARD_PERCENT_MAX 100

static const char *const guard_metric_names[GUARD_METRICS] = {
	[GUARD_CPU] = "cpu",         [GUARD_MEMORY] = "memory",
	[GUARD_DISK] = "disk",       [GUARD_PRESSURE] = "pressure",
	[GUARD_ZOMBIES] = "zombies",
};

static const struct {
	const char *name;
	size_t field;
	uint64_t min_ms, max_ms;
	const char *must;
} guard_times[] = {
	{ "average", offsetof(struct guard_config, average_ms), 1000,
	  GUARD_AVERAGE_MAX_MS, "give a time from 1s to 10m" },
	{ "cool-down", offsetof(struct guard_config, cool_down_ms), 0,
	  GUARD_COOL_DOWN_MAX_MS, "give a time of 1h at most" },
};

static void guard_config_percent(struct violations *v, const char *name,
				 const char *value, uint32_t *out)
{
	uint64_t n;

	if (!strcmp(value, "off"))
		*out = 0;
	else if (option_parse_uint(value, &n) < 0 || n < 1 ||
		 n > GUARD_PERCENT_MAX)
		violations_add(v, name,
			       "'%s' is no threshold: give a percentage from 1 "
			       "to 100, or off",
			       value);
	else
		*out = (uint32_t)n;
}

/* True where there is such a time. */
static bool guard_config_time(struct violations *v, const char *name,
			      const char *value, struct guard_config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(guard_times); i++) {
		uint64_t ms;

		if (strcmp(guard_times[i].name, name) != 0)
			continue;
		if (option_parse_duration(value, &ms) < 0 ||
		    ms < guard_times[i].min_ms || ms > guard_times[i].max_ms)
			violations_add(v, name, "'%s': %s", value,
				       guard_times[i].must);
		else
			*(uint64_t *)(void *)((char *)c +
					      guard_times[i].field) = ms;
		return true;
	}
	return false;
}

static void guard_config_item(struct violations *v, char *item,
			      struct guard_config *c)
{
	char *value = strchr(item, '=');

	if (!value) {
		violations_add(v, item, "NAME=VALUE is expected, or off alone");
		return;
	}
	*value++ = '\0';
	for (size_t i = 0; i < GUARD_METRICS; i++)
		if (!strcmp(guard_metric_names[i], item)) {
			guard_config_percent(v, item, value, &c->percent[i]);
			return;
		}
	if (!guard_config_time(v, item, value, c))
		violations_add(v, item,
			       "there is no such threshold; there are cpu, "
			       "memory, disk, pressure, zombies, average and "
			       "cool-down");
}

static void guard_config_items(struct violations *v, const char *text,
			       struct guard_config *c)
{
	while (text) {
		char item[GUARD_ITEM_BYTES];
		size_t len;
		const char *from = option_next_item(&text, &len);

		if (len >= sizeof(item)) {
			violations_add(v, "", "'%.20s…' is too long", from);
			continue;
		}
		memcpy(item, from, len);
		item[len] = '\0';
		guard_config_item(v, item, c);
	}
}

int guard_config_parse(struct guard_config *out, const char *text,
		       struct buf *why)
{
	struct guard_config c = { 0 };
	struct violations v = { .out = why };
	int r;

	guard_config_items(&v, GUARD_DEFAULTS, &c);
	if (!strcmp(text, "off"))
		c.off = true;
	else
		guard_config_items(&v, text, &c);
	r = violations_end(&v);
	if (!r)
		*out = c;
	return r > 0 ? GUARD_E_INVALID : r;
}
