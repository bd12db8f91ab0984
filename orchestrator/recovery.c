#include "orchestrator/recovery.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/wal/replay.h"
#include "orchestrator/executor_set.h"

static void recovery_release(bool same_boot, struct recovery_plan *out)
{
	if (!same_boot) {
		out->verdict = RECOVERY_LOSE;
		snprintf(out->why, sizeof(out->why),
			 "the orchestrator's machine was started anew while "
			 "the job was about to begin");
		return;
	}
	out->verdict = RECOVERY_RELEASE;
	snprintf(out->why, sizeof(out->why),
		 "the orchestrator died before the script was started");
}

static void recovery_adopt(const struct wal_execution *past,
			   const struct executor_set *here, bool same_boot,
			   struct recovery_plan *out)
{
	const char *name = json_get_str(past->pod, "executor", "");

	out->verdict = RECOVERY_LOSE;
	out->executor = executor_set_find(here, name);
	if (!same_boot)
		snprintf(out->why, sizeof(out->why),
			 "the orchestrator's machine was started anew while "
			 "the job ran");
	else if (!out->executor)
		snprintf(out->why, sizeof(out->why),
			 "the orchestrator was started again without the "
			 "executor '%s' while the job ran",
			 name);
	else if (!out->executor->ops->adopt)
		snprintf(out->why, sizeof(out->why),
			 "the orchestrator died while the job ran, and with it "
			 "the connection to its host: how it ended is not "
			 "known");
	else
		out->verdict = RECOVERY_ADOPT;
}

void recovery_judge(const struct wal_execution *past,
		    const struct executor_set *here, const char *boot,
		    struct recovery_plan *out)
{
	const char *then = json_get_str(
		past->pod, "boot", json_get_str(past->claimed, "boot", ""));
	bool same_boot = *boot && !strcmp(then, boot);

	*out = (struct recovery_plan){ 0 };
	if (past->state == WAL_STARTED)
		recovery_adopt(past, here, same_boot, out);
	else
		recovery_release(same_boot, out);
}
