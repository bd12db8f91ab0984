#include "backend/job_state.h"

#include <errno.h>
#include <string.h>

#define BIT(state) (1u << (state))
#define ENDS                                                         \
	(BIT(JOB_SUCCEEDED) | BIT(JOB_FAILED) | BIT(JOB_TIMED_OUT) | \
	 BIT(JOB_CANCELLED) | BIT(JOB_LOST))

static const struct {
	const char *name;
	unsigned int next; /* BIT() of each state it may move to */
} job_states[JOB_STATES] = {
	[JOB_QUEUED] = { "queued", BIT(JOB_CLAIMED) | BIT(JOB_CANCELLED) |
					   BIT(JOB_FAILED) },
	[JOB_CLAIMED] = { "claimed",
			  BIT(JOB_QUEUED) | BIT(JOB_RUNNING) | ENDS },
	[JOB_RUNNING] = { "running", BIT(JOB_QUEUED) | ENDS },
	[JOB_SUCCEEDED] = { "succeeded", 0 },
	[JOB_FAILED] = { "failed", 0 },
	[JOB_TIMED_OUT] = { "timed_out", 0 },
	[JOB_CANCELLED] = { "cancelled", 0 },
	[JOB_LOST] = { "lost", 0 },
};

const char *job_state_name(enum job_state s)
{
	return (unsigned int)s < JOB_STATES ? job_states[s].name : "?";
}

int job_state_parse(const char *name, enum job_state *out)
{
	for (unsigned int i = 0; i < JOB_STATES; i++)
		if (!strcmp(name, job_states[i].name)) {
			*out = (enum job_state)i;
			return 0;
		}
	return -EINVAL;
}

bool job_state_ended(enum job_state s)
{
	return (BIT(s) & ENDS) != 0;
}

bool job_state_live(enum job_state s)
{
	return s == JOB_CLAIMED || s == JOB_RUNNING;
}

bool job_state_may_move(enum job_state from, enum job_state to)
{
	return (unsigned int)from < JOB_STATES &&
	       (job_states[from].next & BIT(to)) != 0;
}
