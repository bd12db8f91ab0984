/* The parts of a sandbox that another process of us has started. */
#include <errno.h>
#include <stdio.h>

#include "common/json.h"
#include "orchestrator/cgroup.h"
#include "orchestrator/sandbox_parts.h"

void sandbox_parts_sidecar_cgroup(const char *pod,
				  char out[SANDBOX_CGROUP_NAME_BYTES])
{
	snprintf(out, SANDBOX_CGROUP_NAME_BYTES, "%s.sidecar", pod);
}

static json_t *sandbox_process_describe(const struct sandbox_process *p)
{
	return json_pack("{s:i,s:I}", "pid", (int)p->pid, "start",
			 (json_int_t)p->start);
}

json_t *sandbox_parts_describe(const struct sandbox_parts *parts)
{
	return json_pack("{s:o,s:o}", "runner",
			 sandbox_process_describe(&parts->runner.process),
			 "sidecar",
			 sandbox_process_describe(&parts->sidecar.process));
}

static int sandbox_side_adopt(struct sandbox_side *side,
			      const json_t *described)
{
	return sandbox_process_adopt(
		(pid_t)json_get_int(described, "pid", 0),
		(uint64_t)json_get_int(described, "start", 0), &side->process);
}

static int sandbox_parts_adopt_cgroups(struct sandbox_parts *parts,
				       const char *pod)
{
	struct cgroup_root *root = parts->shared->cgroups;
	char name[SANDBOX_CGROUP_NAME_BYTES];
	int r;

	if (!root)
		return 0;
	sandbox_parts_sidecar_cgroup(pod, name);
	r = cgroup_adopt(&parts->runner.cgroup, root, pod);
	return r ? r : cgroup_adopt(&parts->sidecar.cgroup, root, name);
}

int sandbox_parts_adopt(struct sandbox_parts *parts,
			const struct executor_spec *spec,
			const json_t *described,
			char reason[SANDBOX_PARTS_REASON_BYTES])
{
	int r, sidecar, runner;

	r = sandbox_parts_adopt_cgroups(parts, spec->pod);
	if (r < 0)
		return r;
	runner = sandbox_side_adopt(&parts->runner,
				    json_object_get(described, "runner"));
	sidecar = sandbox_side_adopt(&parts->sidecar,
				     json_object_get(described, "sidecar"));
	if (!runner && !sidecar)
		return 0;
	snprintf(reason, SANDBOX_PARTS_REASON_BYTES, "the %s is gone",
		 runner ? "sandbox" : "sidecar");
	return -ESRCH;
}
