"""An orchestrator after its machine was started anew: its log says that, by
another boot id, and that all of its pods are gone."""

import os
import pathlib
import signal
import subprocess

import pytest

from backend_process import Backend
from wal_files import Wal

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", "build/bin")).resolve()
BOOT = "11111111-2222-3333-4444-555555555555"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def backend(tmp_path):
    # Nothing here waits for a lease.
    backend = Backend(str(tmp_path), "--lease", "1h")
    yield backend
    assert backend.stop() == 0, "".join(backend.log)


def note(wal, claim, pod):
    """What was left of it: that it has begun, if it had, was not on disk."""
    spec = {"name": "x", "executor": "sandbox", "runtime": {"type": "bash"}}
    wal.add("claimed", claim.job, claim.id, {
        "epoch": claim.epoch, "attempt": 1, "lease_ms": 3600000,
        "spec": spec, "boot": BOOT})
    if pod:
        wal.add("pod_created", claim.job, claim.id, {
            "pod": "pod_1", "executor": "sandbox", "boot": BOOT,
            "place": None})


@pytest.mark.parametrize("pod", [True, False])
def test_what_was_about_to_begin(backend, tmp_path, pod):
    agent = backend.agent(name="here")
    for _ in range(2):
        backend.submit("true", runtime="bash")
    running, claimed = agent.claim(), agent.claim()
    assert agent.started(running).status == 200
    agent.close()
    wal = Wal(tmp_path / "o")
    wal.segment()
    note(wal, running, pod)
    note(wal, claimed, pod)
    log = tmp_path / "log"
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [BIN / "cronium-orchestrator", "--data-dir", tmp_path / "o",
             "--run-dir", backend.run, "--executors", "sandbox", "--name",
             "here"], stderr=out, env={**os.environ, "CRONIUM_GUARD": "off"})
    try:
        ended = backend.wait_state(running.job, "lost", "succeeded", "failed")
        assert ended["state"] == "lost", log.read_text()
        assert "started anew while the job was about to begin" in \
            ended["reason"]
        # The other one has not begun: it is run, for the first time.
        ended = backend.wait_state(claimed.job, "lost", "succeeded", "failed")
        assert ended["state"] == "succeeded", log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
