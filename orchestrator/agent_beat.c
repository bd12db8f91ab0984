#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "orchestrator/admission.h"
#include "orchestrator/agent_impl.h"
#include "orchestrator/executor_set.h"
#include "orchestrator/heartbeat.h"
#include "orchestrator/journal.h"
#include "orchestrator/pod.h"
#include "orchestrator/sampler.h"
#include "orchestrator/snapshot.h"

/* Of more pods the leases are kept all the same. */
#define AGENT_PODS_TOLD_MAX 128
/* Before the names of the executors that nothing can be started with. */
#define AGENT_STATUS_AWAY "away:"
#define AGENT_CODE_BYTES 33 /* what the backend keeps */

/* --- what is told --------------------------------------------------------- */

static json_t *agent_executions(struct agent *agent)
{
	json_t *list = json_array();
	struct agent_job *j;

	TAILQ_FOREACH(j, &agent->jobs, link) {
		j->beaten = !j->ended;
		if (j->ended)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s,s:I}", "id", agent_job_execution(j),
				  "epoch", (json_int_t)agent_job_epoch(j)));
	}
	return list;
}

static json_t *agent_pods(struct agent *agent)
{
	json_t *list = json_array();
	struct agent_job *j;

	TAILQ_FOREACH(j, &agent->jobs, link)
		if (j->pod && !j->ended &&
		    json_array_size(list) < AGENT_PODS_TOLD_MAX)
			json_array_append_new(list, pod_status(j->pod));
	return list;
}

static json_t *agent_status(struct agent *agent)
{
	const char *unwritten = journal_problem(agent->config.journal);
	const char *shut = unwritten ?: admission_problem(agent->admission);
	char code[AGENT_CODE_BYTES] = AGENT_STATUS_AWAY;
	const size_t at = strlen(code);
	const char *away = executor_set_problem(agent->config.executors,
						code + at, sizeof(code) - at);
	const char *problem = shut ?: away;

	if (shut)
		snprintf(code, sizeof(code), "%s", unwritten ? "wal" : "guard");
	return json_pack("{s:b,s:s?,s:s?,s:o,s:o}", "accepting", !shut, "code",
			 problem ? code : NULL, "problem", problem, "snapshot",
			 snapshot_json(sampler_newest(agent->config.sampler)),
			 "pods", agent_pods(agent));
}

static json_t *agent_body(void *ctx)
{
	struct agent *agent = ctx;

	return json_pack("{s:o,s:o}", "executions", agent_executions(agent),
			 "status", agent_status(agent));
}

static bool agent_is_live(void *ctx)
{
	struct agent *agent = ctx;

	return agent->pods > 0;
}

/* --- what is said --------------------------------------------------------- */

static void agent_on_beat_cancel(void *ctx, const char *execution,
				 const char *reason)
{
	struct agent_job *j = agent_find(ctx, execution);

	if (j && j->beaten)
		agent_job_cancel(j, reason);
}

static void agent_on_beat_lost(void *ctx, const char *execution)
{
	struct agent_job *j = agent_find(ctx, execution);

	if (!j || !j->beaten)
		return;
	if (j->state == AGENT_IN_POD) {
		pod_abandon(j->pod, "its lease has run out");
		return;
	}
	journal_end(&j->journal, WAL_LOST, NULL);
	agent_job_bury(j);
}

/* Nobody has heard of us for so long that what is tried again may soon run
 * somewhere else. The rest can only be lost, so it goes on in the hope that it
 * is not. */
static void agent_on_cut_off(void *ctx)
{
	struct agent *agent = ctx;
	struct agent_job *j;

	TAILQ_FOREACH(j, &agent->jobs, link)
		if (j->state == AGENT_IN_POD && !j->ended &&
		    pod_may_run_elsewhere(j->pod))
			pod_abandon(j->pod,
				    "the backend does not answer, and the job "
				    "may be tried again elsewhere");
}

static void agent_on_told(void *ctx)
{
	struct agent *agent = ctx;

	agent->told = true;
	agent_check_waiting(agent);
}

const struct heartbeat_ops agent_heartbeat_ops = {
	.body = agent_body,
	.live = agent_is_live,
	.on_told = agent_on_told,
	.on_cancel = agent_on_beat_cancel,
	.on_lost = agent_on_beat_lost,
	.on_cut_off = agent_on_cut_off,
};
