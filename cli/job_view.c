#include "cli/job_view.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/output.h"
#include "common/json.h"

static const char *job_state(const json_t *job)
{
	return json_get_str(job, "state", "");
}

static bool job_state_is(const json_t *job, const char *state)
{
	return !strcmp(job_state(job), state);
}

bool job_view_ended(const json_t *job)
{
	return job_state_is(job, "succeeded") || job_state_is(job, "failed") ||
	       job_state_is(job, "timed_out") ||
	       job_state_is(job, "cancelled") || job_state_is(job, "lost");
}

const char *job_view_colour(const json_t *job)
{
	if (job_state_is(job, "succeeded"))
		return OUTPUT_GREEN;
	if (job_state_is(job, "failed") || job_state_is(job, "lost"))
		return OUTPUT_RED;
	if (job_state_is(job, "timed_out") || job_state_is(job, "cancelled"))
		return OUTPUT_YELLOW;
	return NULL;
}

/* -1 where it has none. */
static int job_exit_code(const json_t *job)
{
	return (int)json_get_int(job, "exit_code", -1);
}

static int job_signal(const json_t *job)
{
	return (int)json_get_int(job, "signal", 0);
}

/* It failed before the interpreter ran: not by any doing of the script. */
static bool job_never_ran(const json_t *job)
{
	return !json_get_int(job, "started_ms", 0) ||
	       (!job_signal(job) && job_exit_code(job) <= 0);
}

int job_view_exit_code(const json_t *job)
{
	if (job_state_is(job, "succeeded"))
		return CLI_OK;
	if (job_state_is(job, "timed_out"))
		return CLI_TIMED_OUT;
	if (job_state_is(job, "cancelled"))
		return CLI_CANCELLED;
	if (!job_state_is(job, "failed") || job_never_ran(job))
		return CLI_NOT_RUN;
	if (job_signal(job))
		return 128 + job_signal(job);
	return job_exit_code(job);
}

int64_t job_view_duration_ms(const json_t *job, int64_t now_ms)
{
	int64_t started = json_get_int(job, "started_ms", 0);
	int64_t ended = json_get_int(job, "ended_ms", 0);

	/* One that is queued once more has only the times of its last try. */
	if (!started || job_state_is(job, "queued"))
		return -1;
	return (ended ? ended : now_ms) - started;
}

const char *job_view_sentence(const json_t *job, char *out, size_t size)
{
	const char *reason = json_get_str(job, "reason", NULL);

	if (json_get_bool(job, "oom_killed", false))
		snprintf(out, size,
			 "the script was killed because it used more memory "
			 "than it may; raise --memory");
	else if (job_state_is(job, "timed_out"))
		snprintf(out, size,
			 "%s was ended: it took longer than its --timeout",
			 json_get_str(job, "capability", "the script"));
	else if (job_state_is(job, "cancelled"))
		snprintf(out, size, "the job was cancelled%s%s",
			 reason ? ": " : "", reason ? reason : "");
	else if (job_state_is(job, "lost"))
		snprintf(out, size,
			 "the job was lost: %s; whether the script did its "
			 "work is not known, so it is not run again by itself",
			 reason ? reason
				: "what ran it did not report back in time");
	else if (job_state_is(job, "failed") && job_never_ran(job))
		snprintf(out, size, "%s could not be run: %s",
			 json_get_str(job, "capability", "the script"),
			 reason ? reason : "no reason was given");
	else if (job_state_is(job, "failed") && job_signal(job))
		snprintf(out, size, "the script was ended by signal %d (%s)",
			 job_signal(job), strsignal(job_signal(job)));
	else if (job_state_is(job, "failed") && reason &&
		 strncmp(reason, "exit code", 9) != 0)
		snprintf(out, size, "%s", reason);
	else
		return NULL;
	return out;
}

void job_view_warn_dropped(const json_t *job)
{
	int64_t dropped = json_get_int(job, "log_dropped_bytes", 0);

	if (dropped)
		output_warn("the log is over the server's limit: its last "
			    "%lld bytes were not kept",
			    (long long)dropped);
}
