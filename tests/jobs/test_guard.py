"""The resource guard: jobs wait, with a reason, and nothing else happens."""

import json
import os
import subprocess

import pytest

from harness import FREE, RUN_TIMEOUT_S, Server
from patience import until

ALWAYS_OPEN = "memory=1"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("print('ran')")
    return path


@pytest.fixture
def guarded(tmp_path):
    servers = []

    def start(guard):
        servers.append(Server(tmp_path / "server", "--executors", "sandbox",
                              "--guard", guard))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0, server.log.read_text()


def agent_that(server, **wanted):
    def there():
        agent, = json.loads(server.get("/v1/agents")[1])["agents"]
        return agent if wanted.items() <= agent.items() else None

    return until(there, wanted, RUN_TIMEOUT_S)


def test_a_job_waits_and_says_why(guarded, script):
    server = guarded(ALWAYS_OPEN)
    agent = agent_that(server, accepting=False)
    assert agent["code"] == "guard"
    assert agent["problem"].startswith("memory is used: ")
    job = server.cronium("submit", script).ok().out.strip()
    found = server.job(job)
    assert found["state"] == "queued" and found["attempt"] == 1
    assert found["waiting"]["code"] == "guard"
    assert "memory is used: " in found["waiting"]["message"]
    # It does not go back and forth between the two.
    assert found["execution"] is None
    shown = server.cronium("job", job).ok().out
    assert "memory is used: " in shown
    server.cronium("cancel", job).ok()


def test_no_wait(guarded, script):
    server = guarded(ALWAYS_OPEN)
    agent_that(server, accepting=False)
    done = server.cronium("run", "--no-wait", script)
    assert done.code != 0 and "the guard's limit is 1 %" in done.err


def test_a_disk_that_fills_up(tmp_path, script):
    """On a file system of its own for the data directory."""

    class Small(Server):
        # A file beside the database, which only this namespace sees.
        wrapper = ("unshare", "-m" if os.getuid() == 0 else "-Urm", "sh", "-ec",
                   f"mount -t tmpfs -o size=64m none {tmp_path}/server/data; "
                   'exec "$@"', "sh")

    (tmp_path / "server" / "data").mkdir(parents=True)
    server = Small(tmp_path / "server", "--executors", "sandbox",
                   "--guard", "disk=75,cool-down=0s")
    try:
        data = f"/proc/{server.process.pid}/root{server.data_dir}"
        agent_that(server, accepting=True)
        slow = tmp_path / "slow.py"
        slow.write_text("import cronium, time\n"
                        "while not cronium.get_variable('go', False):\n"
                        "    time.sleep(0.05)\n")
        running = server.cronium("submit", *FREE, slow).ok().out.strip()
        server.wait_state(running, "running")
        with open(f"{data}/filler", "wb") as filler:
            filler.write(b"x" * (50 << 20))
        agent = agent_that(server, accepting=False)
        assert agent["problem"].startswith(
            "the disk of the data directory is full: ")
        job = server.cronium("submit", script).ok().out.strip()
        assert server.job(job)["state"] == "queued"
        # What runs goes on to its end.
        server.cronium("vars", "set", "go", "true").ok()
        assert server.wait_state(running, "succeeded")
        assert server.job(job)["state"] == "queued"
        subprocess.run(["rm", f"{data}/filler"], check=True)
        server.wait_state(job, "succeeded")
        log = server.log.read_text()
        assert "guard: open, no job is started: the disk" in log
        assert "guard: closed, jobs are started again" in log
    finally:
        assert server.stop() == 0, server.log.read_text()


def test_wrong_thresholds(tmp_path):
    with pytest.raises(AssertionError, match="cpu: '0' is no threshold"):
        Server(tmp_path / "server", "--executors", "sandbox", "--guard",
               "cpu=0,ram=1")
