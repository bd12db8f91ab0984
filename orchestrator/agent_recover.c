/* What an earlier process of this orchestrator has begun. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/wal/replay.h"
#include "orchestrator/agent_impl.h"
#include "orchestrator/assignment.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod.h"
#include "orchestrator/process_id.h"

/* Without a pod only its name and epoch are needed, which are always there. */
static struct agent_job *agent_remember(struct agent *agent,
					const struct wal_execution *x,
					struct recovery_plan *plan)
{
	char err[RECOVERY_WHY_BYTES];
	struct assignment *a;
	struct agent_job *j;
	int r;

	r = assignment_restore(&a, x->execution, x->job, x->claimed, err,
			       sizeof(err));
	if (!a) {
		log_error(x->execution, "it cannot be taken up: %s", err);
		return NULL;
	}
	if (r < 0 && plan->verdict == RECOVERY_ADOPT) {
		plan->verdict = RECOVERY_LOSE;
		snprintf(plan->why, sizeof(plan->why),
			 "the orchestrator died while the job ran: %.300s",
			 err);
	}
	j = agent_job_new(agent, a);
	if (!j)
		return NULL;
	j->state = AGENT_PAST;
	j->plan = *plan;
	if (journal_take_up(agent->config.journal, x, &j->journal) < 0)
		log_error(x->execution, "out of memory: nothing more of it is "
					"written ahead");
	return j;
}

static void agent_take_up_one(struct agent *agent,
			      const struct wal_execution *x, const char *boot)
{
	struct recovery_plan plan;
	struct agent_job *j;

	recovery_judge(x, agent->config.executors, boot, &plan);
	j = agent_remember(agent, x, &plan);
	if (!j)
		return;
	if (j->plan.verdict == RECOVERY_ADOPT)
		agent_job_adopt(j, x);
	if (j->state != AGENT_IN_POD)
		return;
	agent->spare[agent->n_spare] = strdup(pod_id(j->pod));
	agent->n_spare += agent->spare[agent->n_spare] != NULL;
}

int agent_take_up(struct agent *agent, const struct wal_replay *past)
{
	const struct wal_execution *x = NULL;
	size_t n = wal_replay_count(past);
	char boot[PROCESS_BOOT_ID_BYTES];

	agent->spare = calloc(n + 1, sizeof(*agent->spare));
	if (!agent->spare)
		return -ENOMEM;
	process_boot_id(boot);
	while ((x = wal_replay_next(past, x)))
		agent_take_up_one(agent, x, boot);
	if (n)
		log_info(NULL,
			 "%zu executions were left open, %zu pods are "
			 "taken up",
			 n, agent->n_spare);
	return 0;
}

void agent_settle_past(struct agent *agent)
{
	struct agent_job *j;

	TAILQ_FOREACH(j, &agent->jobs, link) {
		if (j->state != AGENT_PAST)
			continue;
		if (j->plan.verdict == RECOVERY_RELEASE)
			agent_job_release(j, true, j->plan.why);
		else
			agent_job_refuse(j, OUTCOME_CAUSE_LOST, j->plan.why);
	}
}
