"""The resource guard, and what the backend is told of machine and pods."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from test_orchestrator import PROGRAM, Orchestrator, completion

pytestmark = pytest.mark.timeout(120)

# Forks children that it does not reap before it is told to.
ZOMBIES = """
import os, sys
pids = [os.fork() or os._exit(0) for _ in range(int(sys.argv[1]))]
print("up", flush=True)
sys.stdin.read()
for pid in pids:
    os.waitpid(pid, 0)
"""
BURN = """
import os, sys, time
block = bytearray(100 << 20)
block[::4096] = b"x" * len(block[::4096])
open("block", "wb").write(b"x" * (50 << 20))
while time.process_time() < 0.3: pass
print("done", flush=True)
"""


@contextlib.contextmanager
def orchestrator(base, guard):
    o = Orchestrator(base, "--guard", guard)
    try:
        yield o
    finally:
        if o.process.poll() is None:
            o.stop()


def statuses(o):
    """What heartbeats say, one after the other."""
    while True:
        _, request, _ = o.backend.wait("heartbeat")
        yield request.json()["status"]


def wait_status(o, check):
    return next(status for status in statuses(o) if check(status))


@contextlib.contextmanager
def zombies():
    """As many as there are processes: half of all."""
    n = sum(entry.name.isdigit() for entry in pathlib.Path("/proc").iterdir())
    with subprocess.Popen([sys.executable, "-c", ZOMBIES, str(n)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"up\n"
        yield
        p.stdin.close()


def test_what_was_claimed_is_given_back(tmp_path):
    with orchestrator(tmp_path, "memory=1") as o:
        execution = o.backend.assign("echo never")
        told, said = [], None
        while said != "release":
            said, who, request = o.backend.said.get(timeout=30)
            if said == "heartbeat":
                told.append(request.json()["status"])
        assert who == execution
        reason = request.json()["reason"]
        assert reason.startswith("memory is used: ")
        assert reason.endswith("the guard's limit is 1 %")
        assert not told[-1]["accepting"]
        assert told[-1]["code"] == "guard"
        assert told[-1]["problem"].startswith("memory is used: ")
        assert "guard: open, no job is started: memory is used" in \
            o.log.read_text()


def test_nothing_is_given_back_before_the_backend_knows(tmp_path):
    with orchestrator(tmp_path, "memory=1") as o:
        deaf = [True]
        o.backend.answers["heartbeat"] = lambda e, r: \
            (503, {}) if deaf[0] else None
        # A backend that was restarted knows nothing of it any more.
        o.backend.cut()
        o.connected()
        o.backend.assign("echo never")
        for _ in range(4):
            said, _, _ = o.backend.said.get(timeout=30)
            assert said in ("heartbeat", "recover")
        deaf[0] = False
        o.backend.wait("release")


def test_opens_and_closes(tmp_path):
    with orchestrator(tmp_path, "zombies=25,cool-down=1s") as o:
        running = o.backend.assign("sleep 60", executor="sandbox")
        o.backend.wait("started")
        wait_status(o, lambda s: s["accepting"])
        with zombies():
            status = wait_status(o, lambda s: not s["accepting"])
            assert status["problem"].startswith("processes are zombies: ")
            assert status["snapshot"]["processes"]["zombies"] > 10
            refused = o.backend.assign("echo no")
            assert o.backend.wait("release")[0] == refused
            # What runs is let alone.
            pod, = wait_status(o, lambda s: True)["pods"]
            assert pod["execution"] == running
            assert pod["state"] == "running"
        wait_status(o, lambda s: s["accepting"])
        assert "guard: cooling down for 1000 ms" in o.log.read_text()
        log = b"".join(p.read_bytes() for p in tmp_path.glob("data/**/*")
                       if p.is_file())
        assert b"guard_opened" in log and b"guard_closed" in log
        o.backend.assign("echo yes")
        assert completion(o.backend)["state"] == "succeeded"


def test_busy_cores_open_it(tmp_path):
    with orchestrator(tmp_path, "cpu=90,average=2s") as o:
        wait_status(o, lambda s: True)
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(2 * os.cpu_count())]
        try:
            status = wait_status(o, lambda s: not s["accepting"])
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        assert status["problem"].startswith("the CPU is busy: ")
        assert "% over 2 s), the guard's limit is 90 %" in status["problem"]


def test_status(tmp_path):
    with orchestrator(tmp_path, "off") as o:
        status = wait_status(o, lambda s: s["snapshot"]["cpu_percent"])
        assert status["accepting"] is True
        assert status["code"] is None and status["problem"] is None
        assert status["pods"] == []
        snapshot = status["snapshot"]
        assert snapshot["cores"] == os.cpu_count()
        assert abs(snapshot["at_ms"] / 1000 - time.time()) < 60
        assert 0 < snapshot["memory"]["percent"] < 100
        assert len(snapshot["load"]) == 3
        assert snapshot["disk"]["path"] == str(tmp_path / "data")
        execution = o.backend.assign(BURN + "sys.stdin.read(); time.sleep(60)",
                                     runtime="python", executor="sandbox")
        pods = wait_status(
            o, lambda s: s["pods"] and (s["pods"][0]["cpu_us"] or 0) > 200000)
        pod, = pods["pods"]
        assert pod["execution"] == execution and pod["job"] == "job_1"
        assert pod["state"] == "running"
        assert pod["memory_bytes"] > 150 << 20
        assert pod["pids"] == 1
        processes = pods["snapshot"]["processes"]
        assert processes["count"] > 3
        for process in processes["top"]:
            assert 0 <= process["cpu_percent"] <= 100


def test_what_it_cost(tmp_path):
    with orchestrator(tmp_path, "off") as o:
        o.backend.assign(BURN, runtime="python", executor="sandbox")
        done = completion(o.backend)
        assert done["state"] == "succeeded"
        usage = done["usage"]
        assert 300000 <= usage["user_us"] + usage["system_us"] < 60e6
        assert usage["max_rss_kb"] > 100 << 10
        assert 150 << 20 <= usage["peak_memory_bytes"] < 400 << 20
        assert usage["read_bytes"] >= 0 and usage["write_bytes"] >= 0
        telemetry = done["telemetry"]
        assert len(json.dumps(telemetry)) < 16384
        before, after = telemetry["before"], telemetry["after"]
        assert before["at_ms"] <= after["at_ms"]
        assert after["interval_ms"] >= 300
        assert after["cpu_percent"] > 0


def test_what_a_killed_script_cost(tmp_path):
    with orchestrator(tmp_path, "off") as o:
        o.backend.assign(BURN + "os.kill(os.getpid(), 9)", runtime="python",
                         executor="sandbox")
        usage = completion(o.backend)["usage"]
        assert usage["user_us"] + usage["system_us"] >= 300000
        assert usage["peak_memory_bytes"] >= 150 << 20


def test_options_that_are_wrong(tmp_path):
    wrong = "cpu=101,ram=5,average=0"
    expected = ("cpu: '101' is no threshold: give a percentage from 1 to 100, "
                "or off; ram: there is no such threshold")
    common = [PROGRAM, "--data-dir", tmp_path / "d", "--run-dir",
              tmp_path / "r"]
    for options, env, prefix in ((["--guard", wrong], "off", "--guard: "),
                                 ([], wrong, "CRONIUM_GUARD: "),
                                 (["--guard", ""], "off", "--guard: : ")):
        r = subprocess.run([*common, *options], capture_output=True,
                           text=True, env={**os.environ, "CRONIUM_GUARD": env})
        assert r.returncode == 2 and prefix in r.stderr, r
        if prefix != "--guard: : ":
            assert expected in r.stderr and "average: '0'" in r.stderr
