#include "orchestrator/outcome.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

int outcome_exit_parse(struct outcome_exit *out, const void *data, size_t len)
{
	_cleanup_json_ json_t *o = json_parse_object(data, len, NULL, 0);

	if (!o)
		return -EINVAL;
	if (!json_is_integer(json_object_get(o, "exit_code")))
		return -EINVAL;
	*out = (struct outcome_exit){
		.exited = true,
		.exit_code = (int)json_get_int(o, "exit_code", -1),
		.signal = (int)json_get_int(o, "signal", 0),
		.oom_killed = json_get_bool(o, "oom_killed", false),
	};
	usage_parse(&out->usage, o);
	snprintf(out->error, sizeof(out->error), "%s",
		 json_get_str(o, "error", ""));
	return 0;
}

/* "30 s", "1.5 s", "250 ms". */
static void outcome_print_duration(char *out, size_t cap, uint64_t ms)
{
	if (ms < 1000)
		snprintf(out, cap, "%u ms", (unsigned int)ms);
	else if (ms % 1000)
		snprintf(out, cap, "%.10g s", (double)ms / 1000);
	else
		snprintf(out, cap, "%llu s", (unsigned long long)ms / 1000);
}

static void outcome_judge_timeout(const struct outcome_facts *facts,
				  struct outcome *out)
{
	char duration[32];

	out->state = "timed_out";
	outcome_print_duration(duration, sizeof(duration), facts->timeout_ms);
	snprintf(out->reason, sizeof(out->reason), "timed out after %s",
		 duration);
}

static void outcome_judge_oom(const struct outcome_facts *facts,
			      struct outcome *out)
{
	out->state = "failed";
	snprintf(out->reason, sizeof(out->reason),
		 "out of memory: the limit is %u MB (raise it with --memory)",
		 facts->memory_mb);
}

static void outcome_judge_signal(struct outcome *out)
{
	const char *name = sigabbrev_np(out->exit.signal);
	int n;

	out->state = "failed";
	n = snprintf(out->reason, sizeof(out->reason), "killed by signal %d",
		     out->exit.signal);
	if (name)
		snprintf(out->reason + n, sizeof(out->reason) - (size_t)n,
			 " (SIG%s)", name);
}

static void outcome_judge_exit(struct outcome *out)
{
	if (out->exit.exit_code == 0) {
		out->state = "succeeded";
		return;
	}
	out->state = "failed";
	snprintf(out->reason, sizeof(out->reason), "exit code %d",
		 out->exit.exit_code);
}

static void outcome_judge_cost(const struct outcome_facts *facts,
			       struct outcome *out)
{
	if (facts->exit.exited)
		out->usage = facts->exit.usage;
	else
		usage_init(&out->usage);
	if (facts->measured)
		usage_complete(&out->usage, facts->measured);
	if (facts->telemetry)
		out->telemetry = *facts->telemetry;
}

void outcome_judge(const struct outcome_facts *facts, struct outcome *out)
{
	const struct outcome_exit *ex = &facts->exit;

	*out = (struct outcome){ .exit = *ex };
	outcome_judge_cost(facts, out);
	out->oom_killed = ex->oom_killed || facts->oom_killed;
	if (!ex->exited)
		out->exit.exit_code = -1;
	if (facts->cause == OUTCOME_CAUSE_TIMEOUT) {
		outcome_judge_timeout(facts, out);
	} else if (facts->cause == OUTCOME_CAUSE_CANCEL) {
		out->state = "cancelled";
		snprintf(out->reason, sizeof(out->reason), "%s", facts->detail);
	} else if (out->oom_killed && !(ex->exited && ex->exit_code == 0)) {
		outcome_judge_oom(facts, out);
	} else if (facts->cause == OUTCOME_CAUSE_FAILURE) {
		out->state = "failed";
		snprintf(out->reason, sizeof(out->reason), "%s", facts->detail);
	} else if (facts->cause == OUTCOME_CAUSE_LOST) {
		out->state = "lost";
		snprintf(out->reason, sizeof(out->reason), "%s", facts->detail);
	} else if (*ex->error) {
		/* The script never ran: what there is, is not its own. */
		out->exit.exit_code = -1;
		out->state = "failed";
		snprintf(out->reason, sizeof(out->reason), "%s", ex->error);
	} else if (ex->signal) {
		outcome_judge_signal(out);
	} else {
		outcome_judge_exit(out);
	}
}
