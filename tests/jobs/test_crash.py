"""kill -9 at the worst moment: nothing acknowledged is lost, nothing stays."""

import os
import pathlib
import signal

import pytest

from harness import (ENDS, FREE, RUN_TIMEOUT_S, Server, descendants, docker,
                     processes)
from patience import until

COUNTER = """
import cronium
for i in range(400):
    print(cronium.increment_variable('n'), flush=True)
cronium.output('done')
"""
SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def own(executor, tmp_path):
    # COUNTER asks faster than a script may.
    server = Server(tmp_path, "--executors", executor, "--rate-forward", "0")
    yield server
    server.stop()


def submit(server, executor, text, *options):
    script = server.base / "s.py"
    script.write_text(text)
    return server.cronium(
        "submit", *FREE, "--executor", executor, script, "--json", *options
    ).ok().json["id"]


def wait_log(server, job, word):
    until(lambda: word in server.cronium("logs", job).out,
          server.log.read_text, RUN_TIMEOUT_S)


def pod_processes(server, executor, job):
    """The processes of the job's pod, by (pid, program)."""
    if executor == "sandbox":
        return set(descendants(server.children()["cronium-orchestrator"]))
    ids = docker(
        "ps", "-q", "--no-trunc", "--filter", f"label=cronium.job={job}"
    )
    return {
        (pid, name)
        for pid, name in processes()
        if any(i in cgroup_of(pid) for i in ids.split())
    }


def cgroup_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def assert_clean(server, pod):
    """Neither the pod's processes nor its directory are left."""

    def left():
        return [*(server.run_dir / "pods").glob("*"),
                *(pod & set(processes()))]

    until(lambda: not left(), left)


def test_backend_dies_while_a_job_writes(own, executor):
    job = submit(own, executor, COUNTER)
    for _ in range(3):
        found = own.job(job)
        if found["state"] in ("queued", "claimed"):
            own.wait_state(job, "running", "succeeded")
        os.kill(own.children()["cronium-backend"], signal.SIGKILL)
        own.wait_ready()
    found = own.wait_state(job, "succeeded", "failed", "lost")
    assert found["state"] == "succeeded", found
    assert own.cronium("vars", "get", "n").ok().json == 400
    lines = own.cronium("logs", job).ok().out.split()
    assert [int(n) for n in lines] == list(range(1, 401))




def test_sidecar_dies(own, executor):
    job = submit(own, executor, SLEEPER)
    wait_log(own, job, "up")
    pod = pod_processes(own, executor, job)
    [sidecar] = [pid for pid, name in pod if name == "cronium-sidecar"]
    os.kill(sidecar, signal.SIGKILL)
    found = own.wait_state(job, "failed", "lost", "succeeded")
    assert found["state"] == "failed", found
    assert "sidecar" in found["reason"]
    assert_clean(own, pod)


@pytest.mark.timeout(240)
def test_everything_dies_and_starts_again(own, executor):
    job = submit(own, executor, SLEEPER)
    wait_log(own, job, "up")
    own.cronium("vars", "set", "kept", '"yes"').ok()
    queued = submit(own, executor, "print('later')", "--label", "a=b")
    pod = pod_processes(own, executor, job)
    old = {(pid, name) for name, pid in own.children().items()}
    own.process.kill()
    own.process.wait()
    own.start()
    until(lambda: not old & set(processes()), "their end")
    own.wait_ready()
    assert own.cronium("vars", "get", "kept").ok().json == "yes"
    assert own.wait_state(queued, *ENDS)["state"] == "succeeded"
    assert own.job(job)["state"] == "running"
    own.cronium("cancel", job).ok()
    found = own.wait_state(job, *ENDS)
    assert found["state"] == "cancelled" and found["attempt"] == 1, found
    # How the machine was before it began, not when it was taken up.
    assert found["telemetry"]["before"]["at_ms"] <= found["started_ms"]
    assert_clean(own, pod)
