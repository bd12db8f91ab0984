"""kill -9 on the orchestrator, at any moment of a job: it goes on, its log has
each byte once, its end is the one that it had, nothing is left behind."""

import contextlib
import os
import pathlib
import json
import random
import signal
import time

import pytest

from harness import ENDS, FREE, RUN_TIMEOUT_S, Server, docker, processes
from patience import until
from proc import processes_with

LINES = 20000
FAST = f"""
import sys
for i in range({LINES}):
    print(i, "x" * (i % 97))
    if i % 7 == 0:
        print("e", i, file=sys.stderr)
"""
SECRETS = """
import time
import cronium
first = cronium.get_variable("FIRST")
print("first", first, flush=True)
while not cronium.get_variable("go", default=None):
    time.sleep(0.05)
for i in range(200):
    print(i, first, flush=True)
cronium.set_variable("gone-on", True)
second = cronium.get_variable("SECOND")
print("second", second, first + second, flush=True)
"""
RECORDS = 300
STREAM = f"""
import time
import cronium
with cronium.stream_output() as out:
    for i in range({RECORDS}):
        out.write(i)
        time.sleep(0.005)
print("done")
"""
IMPOSTOR = """
import socket
import struct
import cronium
print("up", flush=True)
heard = 0
ready = (b'{"version":"0","pid":1,"resumed":true,"token":"","execution":"%s"}' %
         cronium.get_event_context()["execution"].encode())
exited = b'{"exit_code":3}'
while not cronium.get_variable("go", default=None):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(1)
            s.connect("/run/cronium/control/control.sock")
            s.sendall(struct.pack(">BI", 16, len(ready)) + ready +
                      struct.pack(">BI", 21, len(exited)) + exited)
            heard += bool(s.recv(100))
    except OSError:
        pass
    cronium.increment_variable("knocks")
print("heard" if heard else "nothing", flush=True)
"""
# Its first argument is there to be found by.
LATE = """
import sys
import time
import cronium
print("up", flush=True)
while not cronium.get_variable("go", default=None):
    time.sleep(0.05)
sys.exit(7)
"""


@pytest.fixture
def own(executor, tmp_path):
    server = Server(tmp_path, "--executors", executor, "--rate-forward", "0")
    yield server
    assert server.stop() == 0, server.log.read_text()
    assert not [*(server.run_dir / "pods").glob("*")]


def submit(server, executor, text, *options):
    script = server.base / "s.py"
    script.write_text(text)
    return server.cronium("submit", *FREE, "--executor", executor, script,
                          "--json", *options).ok().json["id"]


def wait_log(server, job, word):
    until(lambda: word in server.cronium("logs", job).out,
          server.log.read_text, RUN_TIMEOUT_S)


def variable(server, name, default=None):
    found = server.cronium("vars", "get", name)
    return found.json if found.code == 0 else default


def kill(server):
    pid = server.children()["cronium-orchestrator"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.children().get("cronium-orchestrator",
                                        pid) != pid, "another one")


@contextlib.contextmanager
def away(server):
    """No orchestrator, for as long as that lasts."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        os.kill(server.children()["cronium-orchestrator"], signal.SIGKILL)
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def instance(server):
    return (server.data_dir / "orchestrator.lock").read_text()


def in_cgroups(server):
    # Others' come and go meanwhile, over which glob() would stumble.
    return [pathlib.Path(top) / name
            for top, names, _ in os.walk("/sys/fs/cgroup")
            if top.endswith(f"/cronium/{instance(server)}")
            for name in names if name.startswith("pod_")]


def of_engine(server):
    label = f"label=cronium.instance={instance(server)}"
    return (docker("ps", "-aq", "--filter", label) +
            docker("network", "ls", "-q", "--filter", label)).split()


def of_pods(server):
    """Sidecars, runners and their wrappers that know this run directory."""
    found = []
    for pid, name in processes():
        with contextlib.suppress(OSError):
            if str(server.run_dir).encode() in pathlib.Path(
                    f"/proc/{pid}/cmdline").read_bytes() and name == "bwrap":
                found.append(pid)
    return found


def assert_clean(server, executor):
    until(lambda: not [*(server.run_dir / "pods").glob("*"),
                       *in_cgroups(server), *of_pods(server)],
          "the pods' remains")
    if executor == "docker":
        until(lambda: not of_engine(server), "containers")


def assert_ended(server, executor, job, state="succeeded"):
    found = server.wait_state(job, *ENDS)
    assert found["state"] == state, (found, server.log.read_text())
    assert found["attempt"] == 1, found
    assert_clean(server, executor)
    return found


def test_fast_output(own, executor):
    job = submit(own, executor, FAST)
    own.wait_state(job, "running", "succeeded")
    deaths = 4
    for i in range(deaths):
        moment = random.randrange(LINES * i // deaths, LINES * (i + 1) // deaths)
        until(lambda: own.cronium("logs", job).out.count("\n") >= moment,
              f"{moment} lines")
        kill(own)
    assert_ended(own, executor, job)
    said = own.cronium("logs", job).ok()
    assert said.out == "".join(f"{i} {'x' * (i % 97)}\n"
                               for i in range(LINES))
    assert said.err.endswith("".join(f"e {i}\n" for i in range(0, LINES, 7)))


def test_secrets(own, executor):
    own.cronium("vars", "set", "--secret", "FIRST", '"one-f1rst-value"').ok()
    own.cronium("vars", "set", "--secret", "SECOND", '"two-s3cond-value"').ok()
    job = submit(own, executor, SECRETS)
    wait_log(own, job, "first")
    kill(own)
    # Both are read while somebody is away: one that was told, one that is not.
    with away(own):
        own.cronium("vars", "set", "go", "true").ok()
        until(lambda: variable(own, "gone-on"), "the second one's turn")
    assert_ended(own, executor, job)
    mask = "********"
    assert own.cronium("logs", job).ok().out == (
        f"first {mask}\n" + "".join(f"{i} {mask}\n" for i in range(200)) +
        f"second {mask} {mask}\n")


def test_a_stream(own, executor):
    job = submit(own, executor, STREAM)
    own.wait_state(job, "running")

    def written():
        return json.loads(own.get(f"/v1/jobs/{job}/streams")[1])["output"][
            "records"]

    for i in range(3):
        until(lambda: written() > i * RECORDS // 4, "records")
        kill(own)
    assert_ended(own, executor, job)
    assert own.cronium("tail", job).ok().out.split() == [
        str(i) for i in range(RECORDS)]
    assert own.cronium("logs", job).ok().out == "done\n"


def test_it_exits_meanwhile(own, executor):
    marker = f"marker-late-{os.getpid()}-{executor}"
    job = submit(own, executor, LATE, "--", marker)
    wait_log(own, job, "up")
    assert processes_with(marker)
    with away(own):
        own.cronium("vars", "set", "go", "true").ok()
        until(lambda: not processes_with(marker), "its end")
        assert own.job(job)["state"] == "running"
    found = assert_ended(own, executor, job, "failed")
    assert found["exit_code"] == 7
    assert own.cronium("logs", job).ok().out == "up\n"


def test_the_script_is_no_runner(own, executor):
    """It may see where its runner connects, and is not let in."""
    job = submit(own, executor, IMPOSTOR)
    wait_log(own, job, "up")

    def knocked():
        before = variable(own, "knocks", 0)
        return until(lambda: variable(own, "knocks", 0) > before + 5)

    with away(own):
        assert knocked()
    assert knocked()
    own.cronium("vars", "set", "go", "true").ok()
    assert_ended(own, executor, job)
    said = own.cronium("logs", job).ok().out.split("\n")
    assert said[0] == "up" and "heard" not in said[1], said


def test_its_time_goes_on(own, executor):
    job = submit(own, executor, "import time\ntime.sleep(600)\n",
                 "--timeout", "4s")
    own.wait_state(job, "running")
    kill(own)
    found = assert_ended(own, executor, job, "timed_out")
    assert found["ended_ms"] - found["started_ms"] < 15000


def test_it_is_cancelled_meanwhile(own, executor):
    job = submit(own, executor, "import time\nprint('up', flush=True)\n"
                                "time.sleep(600)\n")
    wait_log(own, job, "up")
    with away(own):
        own.cronium("cancel", job).ok()
    assert_ended(own, executor, job, "cancelled")


def test_its_pod_dies_meanwhile(own, executor):
    marker = "86400.77"
    job = submit(own, executor, "import subprocess\nprint('up', flush=True)\n"
                                f"subprocess.run(['sleep', '{marker}'])\n")
    wait_log(own, job, "up")
    with away(own):
        if executor == "docker":
            found = own.job(job)["execution"]
            docker("kill", *docker(
                "ps", "-q", "--filter", "label=cronium.role=script",
                "--filter", f"label=cronium.execution={found}").split())
        for pid in of_pods(own):
            os.kill(pid, signal.SIGKILL)
        for group in in_cgroups(own):
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
    found = assert_ended(own, executor, job, "lost")
    assert "was away" in found["reason"]


@pytest.mark.timeout(300)
def test_at_any_moment_of_the_start(own, executor):
    """Whatever was under way: each job runs once."""
    most = 0.08 if executor == "sandbox" else 0.8
    for i in range(7):  # the supervisor waits longer each time
        job = submit(own, executor, f"print('job {i}')\n")
        time.sleep(most * i / 7)  # which moment it is does not matter
        kill(own)
        assert_ended(own, executor, job)
        said = own.cronium("logs", job).ok()
        assert said.out == f"job {i}\n", said.err


@pytest.mark.timeout(300)
def test_nobody_comes_back(own, executor):
    job = submit(own, executor, "import time\nprint('up', flush=True)\n"
                                "time.sleep(600)\n")
    wait_log(own, job, "up")
    with away(own):
        found = own.wait_state(job, *ENDS)
        assert found["state"] == "lost"
        # Their lease was the longer one.
        assert not of_pods(own)
    assert_clean(own, executor)
    again = submit(own, executor, "print('fine')")
    assert_ended(own, executor, again)
