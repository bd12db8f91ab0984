#include "runner/report.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/json.h"
#include "runner/oom.h"
#include "runner/tree.h"
#include "runner/usage.h"

#define REPORT_SECTOR_BYTES 512

void report_begin(struct report *r)
{
	r->oom_kills_before = oom_kills();
}

void report_set_status(struct report *r, int status)
{
	if (r->error[0])
		return;
	r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	r->exit_code = r->signal ? 128 + r->signal : WEXITSTATUS(status);
}

void report_set_error(struct report *r, int exit_code, const char *error)
{
	r->exit_code = exit_code;
	r->signal = 0;
	snprintf(r->error, sizeof(r->error), "%s", error);
}

static json_int_t report_us(struct timeval tv)
{
	return (json_int_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

/* The kernel counts what goes to disks, and that in sectors. */
static json_int_t report_block_bytes(long blocks)
{
	return (json_int_t)blocks * REPORT_SECTOR_BYTES;
}

/* On a host the count is that of others, too. */
static bool report_oom_killed(const struct report *r)
{
	return tree_is_pid1() && oom_kills() > r->oom_kills_before;
}

int report_append(const struct report *r, struct buf *out)
{
	struct rusage usage = { 0 };
	int64_t peak = r->own_cgroup ? usage_peak_memory() : -1;
	_cleanup_json_ json_t *o = NULL;

	getrusage(RUSAGE_CHILDREN, &usage);
	o = json_pack("{s:i, s:o, s:b, s:o, s:I, s:I, s:I, s:o, s:I, s:I, s:I}",
		      "exit_code", r->exit_code, "signal",
		      r->signal ? json_integer(r->signal) : json_null(),
		      "oom_killed", report_oom_killed(r), "error",
		      r->error[0] ? json_string(r->error) : json_null(),
		      "user_us", report_us(usage.ru_utime), "system_us",
		      report_us(usage.ru_stime), "max_rss_kb",
		      (json_int_t)usage.ru_maxrss, "peak_memory_bytes",
		      peak < 0 ? json_null() : json_integer(peak), "read_bytes",
		      report_block_bytes(usage.ru_inblock), "write_bytes",
		      report_block_bytes(usage.ru_oublock), "started_us",
		      (json_int_t)r->started_us);
	if (!o)
		return -ENOMEM;
	return json_append(out, o);
}
