#include "orchestrator/usage.h"

#include "common/json.h"

void usage_init(struct usage *u)
{
	*u = (struct usage){
		.user_us = USAGE_UNKNOWN,
		.system_us = USAGE_UNKNOWN,
		.max_rss_kb = USAGE_UNKNOWN,
		.peak_memory_bytes = USAGE_UNKNOWN,
		.read_bytes = USAGE_UNKNOWN,
		.write_bytes = USAGE_UNKNOWN,
	};
}

/* Null, absent, or what no clock counts to, is unknown. */
static int64_t usage_get(const json_t *o, const char *key)
{
	return MAX(json_get_int(o, key, USAGE_UNKNOWN), USAGE_UNKNOWN);
}

void usage_parse(struct usage *u, const json_t *exit)
{
	*u = (struct usage){
		.user_us = usage_get(exit, "user_us"),
		.system_us = usage_get(exit, "system_us"),
		.max_rss_kb = usage_get(exit, "max_rss_kb"),
		.peak_memory_bytes = usage_get(exit, "peak_memory_bytes"),
		.read_bytes = usage_get(exit, "read_bytes"),
		.write_bytes = usage_get(exit, "write_bytes"),
	};
}

void usage_complete(struct usage *u, const struct cgroup_usage *pod)
{
	/* The cgroup's CPU time has the runner's in it: the second best. */
	if (u->user_us < 0 && u->system_us < 0) {
		u->user_us = pod->user_us;
		u->system_us = pod->system_us;
	}
	if (pod->peak_memory_bytes >= 0)
		u->peak_memory_bytes = pod->peak_memory_bytes;
	if (u->peak_memory_bytes < 0 && u->max_rss_kb >= 0 &&
	    u->max_rss_kb <= INT64_MAX / 1024)
		u->peak_memory_bytes = u->max_rss_kb * 1024;
}

static json_t *usage_number(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

json_t *usage_json(const struct usage *u)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "user_us",
			 usage_number(u->user_us), "system_us",
			 usage_number(u->system_us), "max_rss_kb",
			 usage_number(u->max_rss_kb), "peak_memory_bytes",
			 usage_number(u->peak_memory_bytes), "read_bytes",
			 usage_number(u->read_bytes), "write_bytes",
			 usage_number(u->write_bytes));
}

void usage_parse_live(struct cgroup_usage *live, const json_t *message)
{
	live->cpu_us = usage_get(message, "cpu_us");
	live->memory_bytes = usage_get(message, "memory_bytes");
	live->pids = usage_get(message, "pids");
}

void usage_merge_live(struct cgroup_usage *live, const struct cgroup_usage *pod)
{
	/* The cgroup counts the runner, and threads; but memory that is
	 * shared once, and files in memory, too. */
	if (live->cpu_us < 0)
		live->cpu_us = pod->cpu_us;
	if (live->pids < 0)
		live->pids = pod->pids;
	if (pod->memory_bytes >= 0)
		live->memory_bytes = pod->memory_bytes;
}

json_t *usage_live_json(const struct cgroup_usage *live, const char *execution,
			const char *job, const char *state)
{
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "execution", execution,
			 "job", job, "state", state, "cpu_us",
			 usage_number(live->cpu_us), "memory_bytes",
			 usage_number(live->memory_bytes), "pids",
			 usage_number(live->pids));
}
