"""What must be true afterwards, whatever died."""

import time

from patience import until
from workload import ENDS, STEPS, read_job, read_log, variable

SETTLE_S = 180


class Verdict:
    """Counts, and everything that is wrong, in sentences."""

    def __init__(self):
        self.ends = {}
        self.broken = 0  # ended otherwise than their script did
        self.wrong = []

    def note(self, job, sentence):
        self.wrong.append(f"{job.id} ({job.kind} {job.key}): {sentence}")


def wait_ended(world, jobs):
    """The job objects, once all have ended."""
    deadline = time.monotonic() + SETTLE_S

    def ended(job):
        now = read_job(world, job.id)
        return now if now["state"] in ENDS else None

    return {job.id: until(
        lambda job=job: ended(job),
        lambda job=job: f"{job.id} has not ended: {read_job(world, job.id)}",
        max(0, deadline - time.monotonic()), pause=0.05) for job in jobs}


def check_log(world, job, clean, verdict):
    said, notices = read_log(world, job.id)
    if clean and said != job.log:
        verdict.note(job, f"its log is {said!r}, {notices!r}")
    elif not job.log.startswith(said):
        verdict.note(job, f"its log is no beginning: {said!r}")
    return said


def check_writes(world, job, clean, said, verdict):
    """Every acknowledged write is there, and an increment counts once."""
    told = said.count("\n")
    last, count = variable(world, "w/" + job.key), variable(
        world, "c/" + job.key)
    if clean and (last, count) != (STEPS - 1, STEPS):
        verdict.note(job, f"it wrote {last}, counted {count}")
    if told and (last is None or last < told - 1 or count < told):
        verdict.note(job, f"{told} acknowledged, {last} and {count} there")
    if count is not None and count > STEPS:
        verdict.note(job, f"it ran more than once: {count} increments")


def check(world, jobs, docker=False):
    """A Verdict over all jobs that were acknowledged."""
    verdict = Verdict()
    ended = wait_ended(world, jobs)
    for job in jobs:
        found = ended[job.id]
        state = found["state"]
        verdict.ends[state] = verdict.ends.get(state, 0) + 1
        clean = state == job.end and (
            state != "failed" or found["exit_code"] == 7)
        verdict.broken += not clean
        if found["attempt"] > 1:
            verdict.note(job, f"it was tried {found['attempt']} times")
        said = check_log(world, job, clean, verdict)
        if job.kind == "writes":
            check_writes(world, job, clean, said, verdict)
        if not clean and not found["reason"]:
            verdict.note(job, f"it is {state} without a reason")
    world.wait_clean(docker)
    return verdict
