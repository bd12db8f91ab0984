/*
 * What the parsers of /proc and of cgroup files make of arbitrary texts: no
 * figure that is not a number, and nothing changed by a text that is refused.
 *
 * Input: a byte that chooses the parser, then the text.
 */
#include <assert.h>
#include <string.h>

#include "common/cgroup_usage.h"
#include "orchestrator/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_percent(double percent)
{
	assert(percent >= 0 && percent <= 100);
}

static void parse_stat(const char *text)
{
	struct snapshot_cpu cpu = { 1, 2, 3 }, zero = { 0 };

	if (snapshot_parse_stat(text, &cpu) < 0)
		assert(cpu.busy == 1 && cpu.total == 2 && cpu.cores == 3);
	else if (snapshot_cpu_percent(&zero, &cpu) != SNAPSHOT_UNKNOWN)
		check_percent(snapshot_cpu_percent(&zero, &cpu));
}

static void parse_memory(const char *text)
{
	struct snapshot_memory memory;

	if (!snapshot_parse_meminfo(text, &memory)) {
		assert(memory.available_bytes <= memory.total_bytes);
		check_percent(memory.percent);
	}
}

static void parse_decimals(const char *text)
{
	struct snapshot_pressure p;
	double load[3];

	if (!snapshot_parse_loadavg(text, load))
		assert(load[0] >= 0 && load[1] >= 0 && load[2] >= 0);
	if (!snapshot_parse_pressure(text, &p))
		assert(p.some >= 0 && (p.full >= 0 || p.full == -1));
}

static void parse_pid(const char *text)
{
	struct proc_stat pid;

	if (proc_stat_parse(text, &pid))
		return;
	assert(pid.pid >= 0);
	for (const char *p = pid.name; *p; p++)
		assert(*p >= ' ' && *p <= '~');
}

static void parse_cgroup(const char *text)
{
	struct cgroup_usage u;

	cgroup_usage_init(&u);
	cgroup_usage_parse_cpu_stat(text, &u);
	assert(u.cpu_us >= -1 && u.user_us >= -1 && u.system_us >= -1);
	assert(cgroup_usage_parse_number(text) >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const parsers[])(const char *) = {
		parse_stat, parse_memory, parse_decimals,
		parse_pid,  parse_cgroup,
	};
	char *text;

	if (!len)
		return 0;
	text = strndup((const char *)data + 1, len - 1);
	assert(text);
	parsers[data[0] % ARRAY_SIZE(parsers)](text);
	free(text);
	return 0;
}
