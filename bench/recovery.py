"""How long until a server whose processes were killed has its jobs again."""

import contextlib
import os
import signal
import time

import machine
from machine import need, wait_until
from report import Row, Samples, Target, known
from server import Backend, Connection, bash_job

PODS_A_JOB = 50  # of a batch: 1,000 of 20
# What a lease allows: whoever is back later finds its jobs given to others.
LEASE = known("lease (limit)", 30_000)
# Waits for a line that nobody writes; no program but Bash itself.
WAITS = "exec {never}<> <(:)\nread -r -u \"$never\"\n"


class Orchestrator(machine.Program):
    def __init__(self, server, slots):
        super().__init__([
            machine.BIN / "cronium-orchestrator", "--data-dir",
            server.directory / "data", "--run-dir", server.directory / "run",
            "--executors", "sandbox", "--slots", slots, "--guard", "off",
            "--log-level", "error"])

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()


def jobs(connection, state):
    """Ids, all pages of them."""
    found, before = [], ""
    while True:
        page = connection.call(
            "GET", f"/v1/jobs?state={state}&limit=1000{before}")
        found += [job["id"] for job in page["jobs"]]
        if not page["next"]:
            return found
        before = f"&before={page['next']}"


def recovered(server):
    """How many executions the log says were taken up again."""
    return sum(path.read_bytes().count(b'"type":"recovered"')
               for path in (server.directory / "data" / "wal").glob("*.wal"))


def fill(admin, n):
    job = bash_job("sandbox", WAITS)
    job["memory_mb"] = 64
    for _ in range(n):
        admin.call("POST", "/v1/jobs", job)
    wait_until(lambda: len(jobs(admin, "running")) == n, f"{n} jobs to start")


def end_all(admin):
    for job in jobs(admin, "running"):
        admin.call("POST", f"/v1/jobs/{job}/cancel", {})
    wait_until(lambda: not jobs(admin, "running"), "the jobs' end")


def orchestrator_ms(server, orchestrator, n):
    """From its death and start until each pod was taken up."""
    before = recovered(server)
    orchestrator.kill()
    start = time.perf_counter()
    new = Orchestrator(server, n)
    wait_until(lambda: recovered(server) - before >= n, "recovery")
    return new, (time.perf_counter() - start) * 1000


def backend_ms(server):
    """The same until the backend is ready."""
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    start = time.perf_counter()
    machine.Program.__init__(server, server.process.args)
    wait_until(server._ready, "the backend")
    return (time.perf_counter() - start) * 1000


def run(settings):
    need("bwrap")
    n = settings.jobs * PODS_A_JOB
    ours, theirs = [], []
    with Backend(settings) as server:
        orchestrator = Orchestrator(server, n)
        try:
            with contextlib.closing(Connection(server.api)) as admin:
                fill(admin, n)
            for _ in range(settings.rounds):
                orchestrator, ms = orchestrator_ms(server, orchestrator, n)
                ours.append(ms)
                theirs.append(backend_ms(server))
            with contextlib.closing(Connection(server.api)) as admin:
                end_all(admin)
        finally:
            orchestrator.stop()
    return [
        Row(f"recovery: {n:,} open jobs, orchestrator", "ms",
            Samples("orchestrator", ours), [LEASE],
            Target("ratio", at_most=0.5)),
        Row(f"recovery: {n:,} open jobs, backend", "ms",
            Samples("backend", theirs), [LEASE],
            Target("ratio", at_most=0.5)),
    ]
