"""An orchestrator that knows two backends, of which one is killed."""

import os
import pathlib
import signal
import subprocess

import pytest

from patience import until
from shared_backends import server, world  # noqa: F401

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", "build/bin")).resolve()
pytestmark = pytest.mark.timeout(120)

WAITS = """
import cronium, time
print("begun", flush=True)
with cronium.Cronium() as c:
    while not c.get_variable("go", default=False):
        time.sleep(0.05)
    c.set_variable("seen", True)
print("done", flush=True)
"""


@pytest.fixture
def orchestrator(world, tmp_path):  # noqa: F811
    urls = ",".join(f"http://127.0.0.1:{b.port}" for b in (world.a, world.b))
    log = tmp_path / "log"
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [BIN / "cronium-orchestrator", "--data-dir", tmp_path / "o",
             "--run-dir", tmp_path / "r", "--executors", "sandbox", "--name",
             "one", "--backend", urls, "--api-key-file", world.api_key_file],
            stderr=out, env={**os.environ, "CRONIUM_GUARD": "off"})
    yield log
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, log.read_text()


def test_one_is_killed_in_mid_job(world, orchestrator):  # noqa: F811
    job = world.a.submit(WAITS)
    until(lambda: world.b.job(job)["state"] == "running")
    until(lambda: world.b.admin.get(f"/v1/jobs/{job}/logs").body == b"begun\n")
    world.a.process.send_signal(signal.SIGKILL)
    world.a.process.wait()
    assert world.b.admin.put("/v1/variables/go", True).status == 201
    ended = world.b.wait_state(job, "succeeded", "failed", "lost")
    log = world.b.admin.get(f"/v1/jobs/{job}/logs").body
    assert ended["state"] == "succeeded", (ended, log,
                                           orchestrator.read_text())
    assert ended["attempt"] == 1 and log == b"begun\ndone\n"
    # It takes new ones from there, and goes back when that one dies.
    world.a.start()
    second = world.b.submit("print('two')")
    assert world.b.wait_state(second, "succeeded", "failed")["state"] == \
        "succeeded"


def test_a_list_that_is_none(tmp_path):
    for urls in ("http://127.0.0.1:1,unix:/x", "http://127.0.0.1:1,",
                 ",http://127.0.0.1:1"):
        ended = subprocess.run(
            [BIN / "cronium-orchestrator", "--data-dir", tmp_path / "o",
             "--run-dir", tmp_path / "r", "--backend", urls],
            capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode != 0 and urls in ended.stderr, ended


def test_one_falls_silent(world, orchestrator):  # noqa: F811
    """It neither answers nor closes its connections."""
    first = world.a.submit("print('one')")
    until(lambda: world.a.job(first)["state"] == "succeeded")
    world.a.process.send_signal(signal.SIGSTOP)
    try:
        job = world.b.submit("print('two')")
        until(lambda: world.b.job(job)["state"] == "succeeded")
    finally:
        world.a.process.send_signal(signal.SIGCONT)
    assert world.b.job(job)["attempt"] == 1
