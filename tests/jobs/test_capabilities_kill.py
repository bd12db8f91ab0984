"""process.kill, and whom it spares."""

import os
import pathlib
import signal
import subprocess

import pytest

from capability_world import SANDBOX, said, worlds
from capability_world import started, world  # noqa: F401
from patience import until
from proc import processes_with


@pytest.fixture
def victim(world):
    user = world.uid if os.geteuid() == 0 else None
    process = subprocess.Popen(["sleep", "1000"], user=user)
    yield process
    process.kill()
    process.wait()


@SANDBOX
def test_kill(world, victim):
    pid = victim.pid
    about = world.ok("process.kill", {"pid": pid}, "--dry-run")
    assert (about["name"], about["permitted"]) == ("sleep", True)
    assert about["command"] == "sleep 1000"
    assert victim.poll() is None
    for more in ({"name": "bash"}, {"start_ticks": 1}):
        error = world.refused("process.kill", {"pid": pid, **more})
        assert error["code"] == "changed"
    assert victim.poll() is None
    world.ok("process.kill", {"pid": pid, "signal": "STOP"})
    until(lambda: "T (stopped)" in pathlib.Path(
        f"/proc/{pid}/status").read_text())
    output = world.ok("process.kill", {
        "pid": pid, "signal": "KILL", "name": "sleep", "wait_ms": 10000,
        "start_ticks": about["start_ticks"]})
    assert output["ended"] is True
    assert victim.wait(timeout=10) == -signal.SIGKILL


@SANDBOX
def test_kill_that_waits_too_long(world, victim):
    """Its pod has no PID namespace to end with; it ends all the same."""
    result = world.run("process.kill", {
        "pid": victim.pid, "signal": "CONT", "wait_ms": 60000},
        "--timeout", "500ms")
    assert result["state"] == "timed_out", said(result)
    until(lambda: not processes_with("process.kill.py"))
    assert victim.poll() is None


@SANDBOX
def test_kill_spares(world):
    children = world.server.children()
    own = [world.server.process.pid, *children.values()]
    for pid in own:
        error = world.refused("process.kill", {"pid": pid})
        assert error["code"] == "protected", error
    assert world.server.children() == children
    found = world.exec("process.kill", {"pid": 1})
    assert found.code == 125 and "/pid" in found.err
    ended = subprocess.Popen(["true"])
    ended.wait()
    error = world.refused("process.kill", {"pid": ended.pid})
    assert error["code"] == "not_found"
    if os.geteuid() == 0:
        roots = subprocess.Popen(["sleep", "1000"])
        error = world.refused("process.kill", {"pid": roots.pid})
        assert error["code"] == "not_permitted"
        assert roots.poll() is None
        roots.kill()
        roots.wait()


@worlds("docker", "ssh-tunnel")
def test_kill_elsewhere_is_refused(world):
    reason = world.reason("process.kill", {"pid": os.getpid()})
    assert "--executor sandbox" in reason
